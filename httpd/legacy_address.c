#include "httpd/legacy_address.h"

#define NO_CODE_STEP 16                 /* addresses for each frame that is no code */

#define MARK_SHIFT   56
#define MARK_GONE    UINT64_C(1)
#define MARK_NOBODYS UINT64_C(2)
#define MODULE_SHIFT 40
#define MODULE_MASK  UINT64_C(0xffff)
#define OFFSET_MASK  ((UINT64_C(1) << MODULE_SHIFT) - 1)

static_assert(MODULES_EVER_MAX <= MODULE_MASK + 1, "each module has a number");

uint64_t legacy_address(const struct ground *ground, const struct place *place, frame_t frame)
{
	const struct module *m = place->module;
	uint64_t pc = frame_pc(frame);

	if (places_no_code(frame) != NULL)
		return NO_CODE_STEP * frame + NO_CODE_STEP / 2;
	if (m == NULL)
		return ground->find_module(ground->frame(pc)) == NULL ?
			       pc : MARK_NOBODYS << MARK_SHIFT | pc;
	if (m->alive)
		return pc;
	return MARK_GONE << MARK_SHIFT | (uint64_t)(m - ground->module(0)) << MODULE_SHIFT |
	       ((pc - m->start) & OFFSET_MASK);
}

/* The code of address, or NULL; *pc where it is or was. */
static const struct module *find_code(const struct ground *ground, uint64_t address, uintptr_t *pc)
{
	uint64_t number = address >> MODULE_SHIFT & MODULE_MASK, offset = address & OFFSET_MASK;
	const struct module *m;

	*pc = frame_pc(address);
	if (*pc == address)
		return ground->find_module(ground->frame(*pc));
	if (address >> MARK_SHIFT != MARK_GONE || number >= ground->modules())
		return NULL;
	m = ground->module((uint32_t)number);
	*pc = m->start + offset;
	return offset < m->limit - m->start ? m : NULL;
}

bool legacy_address_name(struct exchange *x, uint64_t address, struct names_answer *out)
{
	const struct names_answer *no_code = places_no_code(address / NO_CODE_STEP);
	const struct module *m;
	uintptr_t pc;

	if (no_code != NULL) {
		*out = *no_code;
		return true;
	}
	m = find_code(x->desk->ground, address, &pc);
	if (m != NULL)
		names_find(&x->arena, m, pc, out);
	return m != NULL;
}
