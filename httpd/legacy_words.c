#include "httpd/legacy_words.h"

static void put(struct legacy_words *w, uint64_t word)
{
	buf_bytes(w->b, &word, sizeof(word));
}

void legacy_words_begin(struct legacy_words *w, struct buf *b, uint64_t period_us)
{
	*w = (struct legacy_words){ .b = b, .period_ns = 1000 * period_us };
	w->rest_ns = w->period_ns / 2;
	put(w, 0);
	put(w, 3);
	put(w, 0);
	put(w, period_us);
	put(w, 0);
}

void legacy_words_add(struct legacy_words *w, uint64_t ns, const uint64_t *address, size_t depth)
{
	uint64_t periods = (w->rest_ns + ns) / w->period_ns;

	w->rest_ns = (w->rest_ns + ns) % w->period_ns;
	if (periods == 0)
		return;
	if (w->stacks++ == 0)
		w->leaf = address[0];
	put(w, periods);
	put(w, depth);
	put(w, address[0]);
	for (size_t i = 1; i < depth; i++)
		put(w, address[i] + 1);
}

static void put_single(struct legacy_words *w, uint64_t address)
{
	put(w, 0);
	put(w, 1);
	put(w, address);
}

void legacy_words_end(struct legacy_words *w)
{
	uint64_t singles = w->stacks != 0 ? w->stacks / LEGACY_WORDS_ALIKE + 1 : 0;

	while (singles-- > 0)
		put_single(w, w->leaf);
	put_single(w, 0);
}
