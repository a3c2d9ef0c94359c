/* test/fake/asked_files.h -- the profiles that the routes answer, of what made_program.h has: `begin`
 * and `end` are a test's setup and teardown, `profile` is the last one that was got. */
#ifndef TEST_FAKE_ASKED_FILES_H
#define TEST_FAKE_ASKED_FILES_H

#include "fake/asked.h"

#include "fake/made_program.h"

#define OCTET "application/octet-stream"

static Pprofshim__Profile *profile;

static int begin(void **state)
{
	(void)state;
	make_program();
	asked.desk.names = true;
	profile = NULL;
	return 0;
}

static int end(void **state)
{
	(void)state;
	if (profile != NULL)
		done_with(profile);
	asked_forget();
	drop_program();
	return map_fail.live_bytes != 0;
}

/* The answer has to be a file of this name. */
static void get(const char *target, const char *filename)
{
	if (profile != NULL)
		done_with(profile);
	assert_int_equal(ask(target), 200);
	assert_string_equal(asked.x.reply.content_type, OCTET);
	assert_string_equal(asked.x.reply.filename, filename);
	assert_false(asked.x.reply.from_pprof);
	assert_false(asked.x.reply.length_unknown);
	profile = asked_profile();
}

#endif
