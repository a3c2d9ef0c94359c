/* fork, and wait for the child, which ends at once.
 * The children are counted by their page faults, too: those say the same on a busy machine.
 * -m MiB that the parent has written before: fork copies the page tables of all of it.
 * Usage: fork_wait [-n forks] [-m MiB] */
#include "bench.h"
#include <sys/resource.h>
#include <sys/wait.h>

static void fork_once(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		die("fork");
}

int main(int argc, char **argv)
{
	long n = opt_long(argc, argv, "-n", 2000);
	size_t bytes = (size_t)opt_long(argc, argv, "-m", 0) << 20;
	double *ns = malloc((size_t)n * sizeof *ns);
	char *memory = malloc(bytes + 1);
	struct rusage used;
	if (!ns || !memory)
		die("malloc");
	memset(memory, 1, bytes);
	USE(memory);
	stay_on_this_cpu();
	for (int i = 0; i < 20; i++) /* binds symbols, warms caches */
		fork_once();
	for (long i = 0; i < n; i++) {
		double t = now_secs();
		fork_once();
		ns[i] = (now_secs() - t) * 1e9;
	}
	getrusage(RUSAGE_CHILDREN, &used);
	printf("faults=%.2f ", (double)used.ru_minflt / (double)(n + 20));
	report_median("fork_wait", ns, n);
	return 0;
}
