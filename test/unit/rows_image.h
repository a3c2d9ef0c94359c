/* test/unit/rows_image.h -- rows of tables that are made up (cfi_image.h). */
#ifndef TEST_UNIT_ROWS_IMAGE_H
#define TEST_UNIT_ROWS_IMAGE_H

#include "sampler/compiler.h"
#include "test/unit/cfi_image.h"
#include "test/unit/rows_compare.h"

/* Offsets and rules, as tests name them. */
#define CODE (IMAGE_CODE - IMAGE_BASE)
#define NOT  RULES_UNDESCRIBED

static struct image image;
static struct cfi_object object;

static int begin(void **state)
{
	(void)state;
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	return 0;
}

static bool compile_image(void)
{
	image_end(&image);
	object = image_place(&image, image.n, true);
	return compile(&object, IMAGE_BASE, 1);
}

static void fde(uint32_t offset, uint32_t size, struct ops ops)
{
	image_fde(&image, IMAGE_CODE + offset, size, ops);
}

#endif
