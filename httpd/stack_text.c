#include "httpd/stack_text.h"

struct stack_text *stack_text_new(struct exchange *x)
{
	struct stack_text *t = arena_alloc(&x->arena, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->places = places_new(&x->arena, x->desk, NULL);
	return t->places != NULL ? t : NULL;
}

bool stack_text_set(struct stack_text *t, const frame_t *frame, unsigned depth)
{
	t->depth = 0;
	for (unsigned i = 0; i < depth; i++) {
		struct place *place = places_find(t->places, frame[i]);
		uint64_t pc = frame_pc(frame[i]);

		if (place == NULL)
			return false;
		t->address[i] = pc;
		t->text[i] = (struct text_frame){
			.address = pc,
			.name = place->function.name,
			.offset_in_function = pc - place->function.start,
			.file = place->module != NULL ? place->module->path : "?",
		};
	}
	t->depth = depth;
	return true;
}
