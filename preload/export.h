/* preload/export.h -- doors are the only exported functions of the library; scripts/check-symbols
 * fails if they are not those of preload/real.h. */
#ifndef PRELOAD_EXPORT_H
#define PRELOAD_EXPORT_H

#define EXPORT __attribute__((visibility("default")))

#endif
