/* pthread_create, and join of the thread, which ends at once.
 * Usage: thread_churn [-n threads] */
#include "bench.h"

int main(int argc, char **argv)
{
	long n = opt_long(argc, argv, "-n", 5000);
	double *ns = malloc((size_t)n * sizeof *ns);
	if (!ns)
		die("malloc");
	stay_on_this_cpu();
	for (int i = 0; i < 20; i++) /* libc keeps the stack for the next one */
		go_multithreaded();
	for (long i = 0; i < n; i++) {
		double t = now_secs();
		go_multithreaded();
		ns[i] = (now_secs() - t) * 1e9;
	}
	report_median("thread_churn", ns, n);
	return 0;
}
