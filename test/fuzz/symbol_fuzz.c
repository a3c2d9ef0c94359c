/* Any bytes as the question of /symbol, in the query of a GET and in the body of a POST, with the
 * rules written down again in the simplest way. */
#include <stdint.h>
#include <stdio.h>

#include "fake/made_program.h"
#include "fuzz/wall.h"
#include "httpd/places.h"
#include "httpd/serve.h"
#include "sampler/os.h"

#define SIZE_MAX_HERE 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int ok)
{
	if (!ok)
		__builtin_trap();
}

static int digit_of(char c)
{
	static const char digits[] = "00112233445566778899aAbBcCdDeEfF";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) / 2 : 99;
}

/* As Go's ParseUint with base 0, but without the underscores of its literals; 0 if it is none.
 * What is too large is in no object. */
static uint64_t read_number(const char *s, size_t n)
{
	int base = n > 0 && s[0] == '0' ? 8 : 10;
	__uint128_t value = 0;

	if (n > 2 && s[0] == '0' && strchr("xXbBoO", s[1]) != NULL && s[1] != '\0') {
		base = s[1] == 'x' || s[1] == 'X' ? 16 : s[1] == 'b' || s[1] == 'B' ? 2 : 8;
		s += 2;
		n -= 2;
	}
	for (size_t i = 0; i < n; i++) {
		if (digit_of(s[i]) >= base)
			return 0;
		if (value >> 64 == 0)
			value = value * (unsigned)base + (unsigned)digit_of(s[i]);
	}
	return value >> 64 == 0 ? (uint64_t)value : 0;
}

#define GONE (UINT64_C(1) << 56)        /* legacy_address.h: module << 40 | offset */

static bool is_known(uint64_t address)
{
	uint64_t number = address >> 40 & 0xffff, offset = address & ((UINT64_C(1) << 40) - 1);

	if (address >> 56 == GONE >> 56)
		return number < made.modules &&
		       offset < made.module[number].limit - made.module[number].start;
	return places_no_code(address / 16) != NULL ||
	       (address >> 48 == 0 && made_find_module(made_frame(address)) != NULL);
}

/* The line about an address stands at answer; returns its length. */
static size_t check_line(const char *answer, uint64_t address)
{
	const char *end = strchr(answer, '\n');
	char start[32], whole[64];

	demand(end != NULL);
	snprintf(start, sizeof(start), "0x%llx ", (unsigned long long)address);
	demand(strncmp(answer, start, strlen(start)) == 0 && answer[strlen(start)] > ' ');
	if ((address >= LIBRARY_START && address < LIBRARY_START + 16) || address - GONE < 16) {
		snprintf(whole, sizeof(whole), "%smalloc\n", start);
		demand(strncmp(answer, whole, strlen(whole)) == 0);
	}
	return (size_t)(end - answer) + 1;
}

static void check_answer(const char *answer, const char *at, size_t n)
{
	const char first[] = "num_symbols: 1\n";

	demand(strncmp(answer, first, strlen(first)) == 0);
	answer += strlen(first);
	for (size_t i = 0; i <= n; i++) {
		size_t begin = i;
		uint64_t address;

		while (i < n && at[i] != '+')
			i++;
		address = read_number(at + begin, i - begin);
		if (is_known(address))
			answer += check_line(answer, address);
	}
	demand(*answer == '\0');
}

static void ask(struct exchange *x, const char *at, size_t n)
{
	static char answer[16 * SIZE_MAX_HERE];
	size_t len = 0;

	memset(&x->reply, 0, sizeof(x->reply));
	body_init(&x->reply.body, &x->arena);
	serve_symbol(x);
	demand(x->reply.status == 200 && !x->arena.failed && x->reply.body.len < sizeof(answer));
	for (const struct body_piece *p = x->reply.body.first; p != NULL; p = p->next) {
		memcpy(answer + len, p->bytes, p->len);
		len += p->len;
	}
	answer[len] = '\0';
	demand(len == x->reply.body.len && strlen(answer) == len);
	check_answer(answer, at, n);
	arena_reset(&x->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct desk_view desk = { .ground = &made_ground, .names = true };
	struct exchange x = { .desk = &desk };
	const char *at;

	if (size > SIZE_MAX_HERE)
		return 0;
	if (made.modules == 0) {
		make_program();
		atexit(drop_program);
	}
	arena_init(&x.arena, 1u << 24, os_map, os_unmap);
	at = wall_copy(data, size);
	x.request.method = (struct request_text){ "POST", 4 };
	x.data = at;
	x.data_len = size;
	ask(&x, at, size);
	x.request.method = (struct request_text){ "GET", 3 };
	x.request.query = (struct request_text){ at, size };
	x.data = NULL;
	x.data_len = 0;
	ask(&x, at, size);
	return 0;
}
