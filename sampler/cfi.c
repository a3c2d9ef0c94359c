#include "sampler/cfi.h"

#include "sampler/cfi_program.h"
#include "sampler/cfi_record.h"
#include "sampler/cfi_table.h"

bool cfi_find_row(const struct cfi_object *object, uintptr_t pc, struct cfi_work *work)
{
	struct cfi_record record;

	return cfi_table_find(object, pc, &record) &&
	       cfi_program_run(object, &record, pc, work);
}
