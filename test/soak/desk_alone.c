/* desk_alone ADDRESSES -- the desk without a host, at these addresses, above a made ground: a
 * program and a library of a few functions.  It serves until the end of its input.  Linked to the
 * sanitized objects it lets them look at whatever comes over the wire (flips.py). */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fake/made_program.h"
#include "httpd/server.h"
#include "sampler/log.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/sample.h"
#include "sampler/self.h"

static struct server_options options = { .ports = { .tries = 100 }, .is_pthread = true,
					 .view = { .ground = &made_ground, .names = true } };
static _Atomic int tid;

static void *run(void *unused)
{
	self.phase = SELF_DESK;
	tid = os_gettid();
	server_run(&options);
	return unused;
}

/* So many values of each profile, to make bodies of some length. */
static void add_samples(void)
{
	frame_t frames[] = { library_frame(LIBRARY_MALLOC), program_frame(PROGRAM_WORK),
			     program_frame(PROGRAM_MAIN), FRAME_TRUNCATED };

	for (unsigned i = 1; i < COUNT_OF(frames); i++)
		made_stack(frames + i, (unsigned)COUNT_OF(frames) - i);
	for (unsigned p = 0; p < GROUND_PROFILES; p++)
		for (unsigned n = 0; n < 200; n++) {
			struct made_row *r = made_add(p, 1 + n % made.stacks, 16 * n, 1);

			for (unsigned i = 0; i < SITES_VALUES; i++)
				r->value[i] = n * RANDOM_WEIGHT_ONE;
		}
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char byte;

	log_init(LOG_INFO);
	if (argc != 2 ||
	    address_parse(argv[1], strlen(argv[1]), getpid(), &options.listen) < 1)
		return 2;
	make_program();
	add_samples();
	if (pthread_create(&thread, NULL, run, NULL) != 0)
		return 1;
	while (read(0, &byte, 1) > 0)
		continue;
	server_leave(tid);
	pthread_join(thread, NULL);
	drop_program();
	puts("done");
	return 0;
}
