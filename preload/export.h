/* preload/export.h -- doors are the only exported functions of the library.  The other half is
 * preload/exports.map; scripts/check-symbols fails if they differ. */
#ifndef PRELOAD_EXPORT_H
#define PRELOAD_EXPORT_H

#define EXPORT __attribute__((visibility("default")))

#endif
