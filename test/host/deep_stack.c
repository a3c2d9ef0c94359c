/* deep_stack [malloc|spin|wait] -- fifty functions deep, compiled without frame pointers; at the bottom it
 * allocates (deep_malloc: 64 blocks of 1 MiB, kept) or works (deep_spin).  Then it waits for the end of
 * its input; "spin" works until it comes. */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

static void *volatile kept[64];
static volatile uint64_t x = 1;

NOINLINE int deep_malloc(int n);
NOINLINE int deep_spin(int n);

NOINLINE int deep_malloc(int n)
{
	kept[n % 64] = malloc(1 << 20);
	memset(kept[n % 64], 1, 4096);
	return n + 1;
}

NOINLINE int deep_spin(int n)
{
	for (int i = 0; i < 1000000; i++)
		x = x * 3 + 1;
	return n + 1;
}

/* Frames of different sizes, some with saved registers. */
#define LEVEL(name, next, bytes) \
	NOINLINE int name(int n, int spin); \
	NOINLINE int name(int n, int spin) \
	{ \
		volatile char frame[bytes]; \
		frame[0] = (char)n; \
		int result = next(n + 1, spin); \
		return result + frame[0] * 0 - 1; \
	}

NOINLINE int level_50(int n, int spin);
NOINLINE int level_50(int n, int spin) { return spin ? deep_spin(n) : deep_malloc(n); }
LEVEL(level_49, level_50, 8)
LEVEL(level_48, level_49, 40)
LEVEL(level_47, level_48, 16)
LEVEL(level_46, level_47, 3000)
LEVEL(level_45, level_46, 24)
LEVEL(level_44, level_45, 8)
LEVEL(level_43, level_44, 100)
LEVEL(level_42, level_43, 200)
LEVEL(level_41, level_42, 8)
LEVEL(level_40, level_41, 8)
LEVEL(level_39, level_40, 8)
LEVEL(level_38, level_39, 40)
LEVEL(level_37, level_38, 16)
LEVEL(level_36, level_37, 300)
LEVEL(level_35, level_36, 24)
LEVEL(level_34, level_35, 8)
LEVEL(level_33, level_34, 100)
LEVEL(level_32, level_33, 200)
LEVEL(level_31, level_32, 8)
LEVEL(level_30, level_31, 8)
LEVEL(level_29, level_30, 8)
LEVEL(level_28, level_29, 40)
LEVEL(level_27, level_28, 16)
LEVEL(level_26, level_27, 300)
LEVEL(level_25, level_26, 24)
LEVEL(level_24, level_25, 8)
LEVEL(level_23, level_24, 100)
LEVEL(level_22, level_23, 5000)
LEVEL(level_21, level_22, 8)
LEVEL(level_20, level_21, 8)
LEVEL(level_19, level_20, 8)
LEVEL(level_18, level_19, 40)
LEVEL(level_17, level_18, 16)
LEVEL(level_16, level_17, 300)
LEVEL(level_15, level_16, 24)
LEVEL(level_14, level_15, 8)
LEVEL(level_13, level_14, 100)
LEVEL(level_12, level_13, 200)
LEVEL(level_11, level_12, 8)
LEVEL(level_10, level_11, 8)
LEVEL(level_09, level_10, 8)
LEVEL(level_08, level_09, 40)
LEVEL(level_07, level_08, 16)
LEVEL(level_06, level_07, 300)
LEVEL(level_05, level_06, 24)
LEVEL(level_04, level_05, 8)
LEVEL(level_03, level_04, 100)
LEVEL(level_02, level_03, 200)
LEVEL(level_01, level_02, 8)

int main(int argc, char **argv)
{
	int spin = argc > 1 && strcmp(argv[1], "spin") == 0, sum = 0;
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	char c;

	for (int i = 0; i < 64; i++)
		sum += level_01(i, 0);
	printf("sum %d\nready\n", sum);
	fflush(stdout);
	while (spin && poll(&input, 1, 0) == 0)
		level_01(0, 1);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return 0;
}
