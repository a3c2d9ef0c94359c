#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "fake/made_module.h"
#include "httpd/job.h"
#include "httpd/names.h"
#include "httpd/names_cache.h"
#include "sampler/os.h"

#define MANY 400000     /* functions: some 1000 steps to build their index */

/* What is done while a job breathes. */
static void (*meanwhile)(void);
static unsigned breaths;

void job_breathe(void)
{
	breaths++;
	if (meanwhile != NULL)
		meanwhile();
}

static struct arena arena;
static struct module first, second;

static int begin(void **state)
{
	char one[] = "/tmp/names_jobs_test.XXXXXX", two[] = "/tmp/names_jobs_test.XXXXXX";

	(void)state;
	breaths = 0;
	close(mkstemp(one));
	close(mkstemp(two));
	return !made_module_of_many("first", MANY, one, 1ul << 32, &first) ||
	       !made_module_of_many("second", MANY, two, 2ul << 32, &second);
}

static int end(void **state)
{
	(void)state;
	meanwhile = NULL;
	names_reset();
	arena_reset(&arena);
	return unlink(first.path) | unlink(second.path);
}

static const char *name_at(const struct module *module, uint64_t at)
{
	struct names_answer answer;

	names_find(&arena, module, module->start + at, &answer);
	return answer.name;
}

/* Two jobs, as threads of which one runs at a time: the other one's turn comes with each breath. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;
static bool done[2];
static _Thread_local int me;

static void take_turns(void)
{
	turn = !me;
	pthread_cond_broadcast(&changed);
	while (turn != me && !done[!me])
		pthread_cond_wait(&changed, &lock);
	if (breaths == 20)
		names_reset();          /* both have to begin again */
}

/* Each asks for the two objects, in its own order. */
static void *run_job(void *arg)
{
	const struct module *one = *(int *)arg ? &second : &first;
	const struct module *other = *(int *)arg ? &first : &second;

	me = *(int *)arg;
	pthread_mutex_lock(&lock);
	assert_string_equal(name_at(one, 3), me ? "second" : "first");
	assert_string_equal(name_at(other, 3), me ? "first" : "second");
	done[me] = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void jobs_may_ask_for_different_objects_at_once(void **state)
{
	pthread_t thread[2];
	int nr[2] = { 0, 1 };

	(void)state;
	meanwhile = take_turns;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, run_job, &nr[i]), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_true(breaths > 1000);
	assert_in_range(names_cache_bytes(), 2 * MANY * 16, NAMES_BUDGET_BYTES);
}

static jmp_buf given_up;

static void give_up(void)
{
	if (breaths == 300)
		longjmp(given_up, 1);
}

/* The job that was building is gone: the next one goes on where it was. */
static void a_job_may_be_given_up_half_way(void **state)
{
	unsigned all;

	(void)state;
	assert_string_equal(name_at(&first, 1), "first");
	all = breaths;
	names_reset();
	breaths = 0;
	meanwhile = give_up;
	if (setjmp(given_up) == 0) {
		name_at(&first, 1);
		fail_msg("it was done before it could be given up");
	}
	meanwhile = NULL;
	breaths = 0;
	assert_string_equal(name_at(&first, 1), "first");
	assert_in_range(breaths, 1, all - 290);
	breaths = 0;
	assert_string_equal(name_at(&first, 2), "first");
	assert_int_equal(breaths, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(jobs_may_ask_for_different_objects_at_once, begin,
						end),
		cmocka_unit_test_setup_teardown(a_job_may_be_given_up_half_way, begin, end),
	};

	arena_init(&arena, 1u << 20, os_map, os_unmap);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
