/* sampler/cfi.h -- call frame information (.eh_frame): what a frame's caller looked like.
 *
 * The base layer of the unwinder: interprets the object's own tables, some 100 ns a frame.  Faster
 * layers sit in front of it later (rules by pc); they are built from cfi_find_row's answers.
 *
 * Context   any, inside handlers.  Reads only the memory named by struct cfi_object, and stack
 *           memory through the caller's load function.  No recursion, bounded loops.
 * Source    DWARF 5 section 6.4, LSB Core 10.6 (eh_frame, eh_frame_hdr), unwinding.md 3b, 7. */
#ifndef SAMPLER_CFI_H
#define SAMPLER_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/dwarf.h"
#include "sampler/regs.h"

#define CFI_REMEMBER_MAX 4      /* nested DW_CFA_remember_state */
#define CFI_OPS_MAX      16384  /* operations for one row, some 50 us; cc1 has rows of 8192 */
#define CFI_EXPR_STACK   8
#define CFI_EXPR_OPS_MAX 256    /* operations of one expression */
#define CFI_SCAN_MAX     2048   /* records looked at where the header has no table: some 50 us */

/* Where an object's tables are.  [lo, hi) is readable memory that holds both .eh_frame_hdr (at
 * hdr) and .eh_frame; nothing outside is read.  A copy of them may lie elsewhere than the object:
 * moved is what to add to an address of this memory to get the address it had in the object. */
struct cfi_object {
	const uint8_t *hdr;
	const uint8_t *lo, *hi;
	uintptr_t      moved;
};

enum cfi_how { CFI_SAME, CFI_UNDEFINED, CFI_OFFSET, CFI_VAL_OFFSET, CFI_REGISTER, CFI_EXPR,
	       CFI_VAL_EXPR };

struct cfi_reg_rule {
	uint8_t how;            /* enum cfi_how */
	uint8_t reg;            /* CFI_REGISTER */
	int32_t offset;         /* CFI_OFFSET, CFI_VAL_OFFSET: from the CFA, bytes.  *_EXPR: the
				 * expression's place, bytes from struct cfi_object's lo */
};

/* What holds at one pc.  reg[n] means something only where bit n of ruled is set; elsewhere the
 * rule is CFI_SAME.  So an empty row is one word to write. */
struct cfi_row {
	struct cfi_reg_rule reg[REGS_COUNT];
	uint32_t ruled;
	uint8_t  cfa_reg;
	bool     cfa_is_expr;
	bool     signal_frame;          /* augmentation 'S': the caller's pc is exact */
	int32_t  cfa_expr;              /* with cfa_is_expr: its place, as of CFI_EXPR */
	int64_t  cfa_offset;            /* bytes from cfa_reg */
	uintptr_t function_start;       /* first address of the FDE that covers the pc */
	uintptr_t function_end;
};

/* One FDE, with what it takes from its CIE. */
struct cfi_record {
	uintptr_t    start, end;        /* the addresses it covers: [start, end) */
	struct dwarf initial_ops;       /* the CIE's, then */
	struct dwarf ops;               /* the FDE's */
	uint64_t     code_align;
	int64_t      data_align;
	uint8_t      encoding;          /* of addresses */
	bool         signal_frame;
};

/* Loads 8 bytes of the walked stack.  False: not readable. */
typedef bool (*cfi_load)(void *of, uintptr_t at, uintptr_t *value);

/* One expression and what it works with: expr.h. */
struct expr {
	struct dwarf       code;        /* what is left of it */
	const struct regs *regs;
	cfi_load           load;
	void              *of;
	uint64_t           values[CFI_EXPR_STACK];      /* [0, n), the top is the last */
	unsigned           n;
	bool               bad;         /* set once, and stays */
};

/* Scratch for one walk, more than a thousand bytes: too much for a signal stack. */
struct cfi_work {
	struct cfi_row    row, initial, remembered[CFI_REMEMBER_MAX];
	struct cfi_record record;
	struct regs       was;          /* before the step */
	struct expr       expr;
};

/* Apply work->row: *regs becomes the caller's.  regs->known loses REGS_PC where the row says there
 * is no caller, and any other register whose value cannot be had.
 * A register that is saved outside of the frame, by what the row says, has been popped: it keeps
 * its value.
 * False: the CFA, or a return address, is not known or not readable; *regs is as before. */
bool cfi_step(const struct cfi_object *object, struct cfi_work *work, struct regs *regs,
	      cfi_load load_word, void *of);

#endif
