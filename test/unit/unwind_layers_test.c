/* Whatever a walk remembers, of its thread's last stack or of code that any walk has met, it finds
 * what it would find without: on stacks that are made up of few different words, so that much is
 * the same from one to the next, and changes word by word. */
#include "sampler/unwind.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "fake/odds.h"
#include "sampler/rules.h"
#include "test/unit/unwind_stage.h"

enum { WORDS = 72, MUTATIONS = 300000 };

static struct unwind_memo memo;
static struct unwind_memo_frame kept[FRAMES_MAX], fresh[FRAMES_MAX];
static uint64_t random_state;

static uint32_t draw(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

/* Functions of every kind of rule. */
enum { BARE = 0, SAVES = 0x100, BY_BP = 0x200, MOVED = 0x300, REALIGNED = 0x400, BY_RBX = 0x500,
       SIGNAL = 0x600, LAST = 0x700 };

static int begin(void **state)
{
	start(state);
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE + BARE, 0x100, OPS(0x0e, 16, 0x02, 0x80, 0x0e, 32));
	image_fde(&image, IMAGE_CODE + SAVES, 0x100, OPS(0x0e, 32, 0x86, 2, 0x02, 0x80, 0x86, 5));
	image_fde(&image, IMAGE_CODE + BY_BP, 0x100, OPS(0x0c, 6, 16, 0x86, 2));
	image_fde(&image, IMAGE_CODE + MOVED, 0x100, OPS(0x0f, 5, 0x77, 8, 0x06, 0x23, 8));
	image_fde(&image, IMAGE_CODE + REALIGNED, 0x100,
		  OPS(0x0f, 3, 0x76, 0x70, 0x06, 0x10, 6, 2, 0x76, 0));
	image_fde(&image, IMAGE_CODE + BY_RBX, 0x100, OPS(0x0c, 3, 16, 0x86, 2));
	image_cie(&image, "zRS", 1, 0x78, NO_OPS);
	image_fde(&image, IMAGE_CODE + SIGNAL - 1, 0x100,
		  OPS(0x0f, 3, 0x77, 16, 0x06, 0x10, 16, 2, 0x77, 8, 0x10, 6, 2, 0x77, 0));
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE + LAST, 0x100, OPS(0x07, 16));
	image_end(&image);
	object = image_place(&image, image.n, true);
	memset((void *)(uintptr_t)rules_word, 0, sizeof(rules_word));
	memo = (struct unwind_memo){ .frame = kept, .fresh_frame = fresh, .max = FRAMES_MAX };
	return 0;
}

/* A place to return to.  What ends a walk is rare. */
static uintptr_t some_code(void)
{
	static const uint16_t often[] = { BARE + 5, BARE + 0x85, SAVES + 5, SAVES + 9, SAVES + 0x85,
					  BY_BP + 5, BY_BP + 9, REALIGNED + 5 };
	static const uint16_t seldom[] = { MOVED + 5, BY_RBX + 5, SIGNAL, LAST + 5 };

	if (draw(12) == 0)
		return IMAGE_CODE + seldom[draw(COUNT_OF(seldom))];
	if (draw(10) == 0)
		return PLAIN_CODE + 5 + draw(2);
	return IMAGE_CODE + often[draw(COUNT_OF(often))];
}

/* A word of the stack, at this place.  All functions above return to what an even one says, if their
 * stack pointer is at an odd one. */
static uintptr_t some_word(unsigned word)
{
	if (draw(25) == 0)
		return draw(2) * at(draw(WORDS));
	return word % 2 == 0 ? some_code() : at(word + 2 + 2 * draw(4));
}

struct result {
	uintptr_t pc[FRAMES_MAX];
	unsigned depth;
	enum unwind_end end;
};

static void walk(const struct regs *from, struct unwind_memo *m, unsigned max, struct result *r)
{
	struct unwind_stack_bounds bounds = { .lo = at(0), .hi = at(WORDS) };
	struct regs regs = *from;

	*r = (struct result){ .depth = 0 };
	r->end = unwind_stack(&regs, &bounds, UNWIND_AUTO, &work, m, pc, max, &depth);
	r->depth = depth;
	memcpy(r->pc, pc, depth * sizeof(pc[0]));
}

static struct { uint64_t walks, frames, same, complete, precise; } seen;

static struct regs some_registers(void)
{
	unsigned sp = 1 + 2 * draw(4);
	struct regs regs = { .known = 0x1ffff };

	for (unsigned i = 0; i < REGS_COUNT; i++)
		regs.r[i] = at(sp + 2 * draw(6));
	regs.r[REGS_SP] = at(sp);
	regs.r[REGS_PC] = some_code();
	return regs;
}

static void compare(const struct regs *regs, bool may_cache)
{
	struct result without = { .depth = 0 }, with = without;
	unsigned max = draw(20) == 0 ? 1 + draw(20) : FRAMES_MAX;

	stage_permanent = false;
	memset((void *)(uintptr_t)rules_word, 0, may_cache ? 0 : sizeof(rules_word));
	/* It never rests, and all that it has met is counted. */
	memo.walks = memo.same = 0;
	walk(regs, NULL, max, &without);
	stage_permanent = may_cache;
	walk(regs, &memo, max, &with);
	seen.walks++;
	seen.frames += with.depth;
	seen.same += memo.same;
	seen.complete += with.end == UNWIND_COMPLETE;
	seen.precise += work.walk.precise;
	if (memcmp(&with, &without, sizeof(with)) == 0)
		return;
	for (unsigned i = 0; i < with.depth || i < without.depth; i++)
		print_error("%2u %#12lx %#12lx\n", i, (long)without.pc[i], (long)with.pc[i]);
	fail_msg("they differ; ends %d and %d", (int)without.end, (int)with.end);
}

static void mutate(bool may_cache)
{
	uint64_t seed = odds_seed();
	struct regs regs;

	random_state = seed;
	memset(&seen, 0, sizeof(seen));
	print_message("seed %#lx\n", (long)seed);
	for (unsigned w = 0; w < WORDS; w++)
		stack[w] = some_word(w);
	regs = some_registers();
	for (unsigned i = 0; i < MUTATIONS; i++) {
		if (draw(3) == 0)
			regs = some_registers();
		/* Mostly there is room for all; sometimes it is soon full. */
		if (i % 1000 == 0)
			memo = (struct unwind_memo){ .frame = kept, .fresh_frame = fresh,
						     .max = draw(3) == 0 ? draw(12) : FRAMES_MAX };
		/* Near the leaf more often than not; sometimes all of it. */
		for (unsigned n = draw(4); n > 0; n--) {
			unsigned w = draw(draw(2) == 0 ? WORDS : 16);

			stack[w] = some_word(w);
		}
		for (unsigned w = 0; draw(300) == 0 && w < WORDS; w++)
			stack[w] = some_word(w);
		compare(&regs, may_cache);
	}
	print_message("%lu frames in %lu walks, %lu from the memo; %lu ends, %lu times precise\n",
		      seen.frames, seen.walks, seen.same, seen.complete, seen.precise);
	assert_true(seen.frames > 4 * seen.walks);
	assert_true(seen.same > seen.frames / 10);
	assert_true(seen.complete > seen.walks / 50);
	assert_true(seen.precise > seen.walks / 200);
}

static void a_walk_with_a_memo_finds_what_one_without_finds(void **state)
{
	(void)state;
	mutate(false);
}

static void a_walk_with_known_code_finds_what_one_without_finds(void **state)
{
	(void)state;
	mutate(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_walk_with_a_memo_finds_what_one_without_finds, begin),
		cmocka_unit_test_setup(a_walk_with_known_code_finds_what_one_without_finds, begin),
	};

	return cmocka_run_group_tests(tests, make_stack, NULL);
}
