/* Everything is written when it is first heard of; only mappings wait, for has_functions.  So what
 * stays in the arena is each string once, and some 60 bytes per string, function and mapping. */
#include "encode/pprof.h"

#include <errno.h>
#include <string.h>

#include "encode/intern.h"
#include "encode/partial.h"
#include "encode/profile.pb-c.h"

#define FIRST_MAPPINGS      64u
#define FIRST_SCRATCH_BYTES 256u

/* What tells functions apart; two indices of strings. */
struct function_key {
	int64_t system_name, file;
};

struct pprof {
	struct arena       *arena;
	struct partial      to;
	struct intern       function_id;        /* of a struct function_key */
	uint64_t            functions;
	uint64_t            locations;
	unsigned            sample_types;
	Pprofshim__Mapping *mapping;            /* mapping[0] has id 1 */
	uint64_t            mappings, mappings_room;
	void               *scratch;            /* inner messages of the one being written */
	size_t              scratch_bytes;
};

/* Memory until the next call; NULL if the arena is full. */
static void *scratch(struct pprof *p, size_t bytes)
{
	if (p->scratch == NULL || bytes > p->scratch_bytes) {
		p->scratch_bytes = 2 * bytes + FIRST_SCRATCH_BYTES;
		p->scratch = arena_alloc(p->arena, p->scratch_bytes);
	}
	return p->scratch;
}

static Pprofshim__ValueType value_type(struct pprof *p, const struct pprof_value_type *from)
{
	Pprofshim__ValueType type = PPROFSHIM__VALUE_TYPE__INIT;

	type.type = partial_string(&p->to, from->type);
	type.unit = partial_string(&p->to, from->unit);
	return type;
}

static void write_head(struct pprof *p, const struct pprof_head *head)
{
	Pprofshim__Profile message = PPROFSHIM__PROFILE__INIT;
	Pprofshim__ValueType type[PPROF_VALUES_MAX], *type_at[PPROF_VALUES_MAX];
	Pprofshim__ValueType period_type = value_type(p, &head->period_type);

	for (unsigned i = 0; i < p->sample_types; i++) {
		type[i] = value_type(p, &head->sample_type[i]);
		type_at[i] = &type[i];
	}
	message.n_sample_type = p->sample_types;
	message.sample_type = type_at;
	message.period_type = &period_type;
	message.period = head->period;
	message.time_nanos = head->time_nanos;
	message.duration_nanos = head->duration_nanos;
	message.default_sample_type = partial_string(&p->to, head->default_sample_type);
	partial_write(&p->to, &message);
}

struct pprof *pprof_begin(struct arena *arena, struct sink *out, const struct pprof_head *head)
{
	struct pprof *p = arena_alloc(arena, sizeof(*p));

	if (p == NULL || !partial_begin(&p->to, arena, out))
		return NULL;
	p->arena = arena;
	p->function_id.arena = arena;
	p->sample_types = head->sample_types;
	if (p->sample_types > PPROF_VALUES_MAX)
		p->sample_types = PPROF_VALUES_MAX;
	write_head(p, head);
	return arena->failed ? NULL : p;
}

void pprof_comment(struct pprof *p, const char *text)
{
	Pprofshim__Profile message = PPROFSHIM__PROFILE__INIT;
	int64_t comment;

	if (p->arena->failed)
		return;
	comment = partial_string(&p->to, text);
	message.n_comment = 1;
	message.comment = &comment;
	partial_write(&p->to, &message);
}

/* Makes room for one more mapping. */
static bool grow_mappings(struct pprof *p)
{
	uint64_t room = p->mappings_room == 0 ? FIRST_MAPPINGS : 2 * p->mappings_room;
	Pprofshim__Mapping *bigger;

	if (p->mappings < p->mappings_room)
		return true;
	bigger = arena_alloc(p->arena, room * sizeof(*bigger));
	if (bigger == NULL)
		return false;
	if (p->mappings > 0)
		memcpy(bigger, p->mapping, p->mappings * sizeof(*bigger));
	p->mapping = bigger;
	p->mappings_room = room;
	return true;
}

uint64_t pprof_add_mapping(struct pprof *p, const struct pprof_mapping *mapping)
{
	Pprofshim__Mapping m = PPROFSHIM__MAPPING__INIT;

	if (p->arena->failed || !grow_mappings(p))
		return 0;
	m.id = p->mappings + 1;
	m.memory_start = mapping->start;
	m.memory_limit = mapping->limit;
	m.file_offset = mapping->offset;
	m.filename = partial_string(&p->to, mapping->file);
	m.build_id = partial_string(&p->to, mapping->build_id);
	m.has_functions = mapping->has_functions;
	p->mapping[p->mappings++] = m;
	return m.id;
}

void pprof_set_has_functions(struct pprof *p, uint64_t mapping_id, bool has)
{
	if (mapping_id >= 1 && mapping_id <= p->mappings)
		p->mapping[mapping_id - 1].has_functions = has;
}

uint64_t pprof_add_function(struct pprof *p, const char *name, const char *system_name,
			    const char *file, int64_t start_line)
{
	Pprofshim__Profile message = PPROFSHIM__PROFILE__INIT;
	Pprofshim__Function f = PPROFSHIM__FUNCTION__INIT, *f_at = &f;
	struct function_key key;
	uint64_t id;

	if (p->arena->failed)
		return 0;
	key.system_name = partial_string(&p->to, system_name);
	key.file = partial_string(&p->to, file);
	if (key.system_name == 0)       /* no symbol: made-up names must not become one function */
		key.system_name = partial_string(&p->to, name);
	if (intern_find(&p->function_id, &key, sizeof(key), &id))
		return id;
	if (!intern_add(&p->function_id, &key, sizeof(key), p->functions + 1))
		return 0;
	f.id = ++p->functions;
	f.name = partial_string(&p->to, name);
	f.system_name = key.system_name;
	f.filename = key.file;
	f.start_line = start_line;
	message.n_function = 1;
	message.function = &f_at;
	partial_write(&p->to, &message);
	return f.id;
}

uint64_t pprof_add_location(struct pprof *p, uint64_t mapping_id, uint64_t address,
			    const uint64_t *function_id, unsigned functions)
{
	Pprofshim__Profile message = PPROFSHIM__PROFILE__INIT;
	Pprofshim__Location location = PPROFSHIM__LOCATION__INIT, *location_at = &location;
	Pprofshim__Line **line_at, *line;

	if (p->arena->failed)
		return 0;
	line_at = scratch(p, functions * (sizeof(*line_at) + sizeof(*line)));
	if (line_at == NULL)
		return 0;
	line = (Pprofshim__Line *)(line_at + functions);
	for (unsigned i = 0; i < functions; i++) {
		pprofshim__line__init(&line[i]);
		line[i].function_id = function_id[i];
		line_at[i] = &line[i];
	}
	location.id = ++p->locations;
	location.mapping_id = mapping_id;
	location.address = address;
	location.n_line = functions;
	location.line = line_at;
	message.n_location = 1;
	message.location = &location_at;
	partial_write(&p->to, &message);
	return location.id;
}

static Pprofshim__Label label_message(struct pprof *p, const struct pprof_label *from)
{
	Pprofshim__Label label = PPROFSHIM__LABEL__INIT;

	label.key = partial_string(&p->to, from->key);
	if (from->str != NULL && from->num_unit == NULL) {
		label.str = partial_string(&p->to, from->str);
	} else {
		label.num = from->num;
		label.num_unit = partial_string(&p->to, from->num_unit);
	}
	return label;
}

void pprof_add_sample(struct pprof *p, const uint64_t *location_id, size_t locations,
		      const int64_t *value, const struct pprof_label *label, size_t labels)
{
	Pprofshim__Profile message = PPROFSHIM__PROFILE__INIT;
	Pprofshim__Sample sample = PPROFSHIM__SAMPLE__INIT, *sample_at = &sample;
	Pprofshim__Label **label_at, *l;

	if (p->arena->failed)
		return;
	label_at = scratch(p, labels * (sizeof(*label_at) + sizeof(*l)));
	if (label_at == NULL)
		return;
	l = (Pprofshim__Label *)(label_at + labels);
	for (size_t i = 0; i < labels; i++) {
		l[i] = label_message(p, &label[i]);
		label_at[i] = &l[i];
	}
	sample.n_location_id = locations;
	sample.location_id = partial_unconst(location_id);
	sample.n_value = p->sample_types;
	sample.value = partial_unconst(value);
	sample.n_label = labels;
	sample.label = label_at;
	message.n_sample = 1;
	message.sample = &sample_at;
	partial_write(&p->to, &message);
}

int pprof_end(struct pprof *p)
{
	for (uint64_t i = 0; i < p->mappings; i++) {
		Pprofshim__Profile message = PPROFSHIM__PROFILE__INIT;
		Pprofshim__Mapping *mapping_at = &p->mapping[i];

		message.n_mapping = 1;
		message.mapping = &mapping_at;
		partial_write(&p->to, &message);
	}
	partial_flush(&p->to);
	return p->arena->failed ? -ENOMEM : 0;
}
