#include "httpd/writer.h"

struct writer *writer_new(struct exchange *x, const struct formats *f, const char *name,
			  const struct pprof_head *head)
{
	switch (f->format) {
	case FORMAT_FOLDED:
		return writer_folded_new(x, f);
	case FORMAT_JSON:
		return writer_json_new(x, name, head);
	case FORMAT_PROTO:
	case FORMAT_TEXT:       /* which each profile writes itself */
		break;
	}
	return writer_proto_new(x, head);
}
