#include "httpd/policy.h"

#include <string.h>

#include "sampler/log.h"
#include "sampler/os.h"

/* In memory of its own, which no core dump shows (os_map). */
static const struct token *read_token(const char *path)
{
	static const struct token nobodys;
	struct token *token = os_map(sizeof(*token));
	const char *reason = token != NULL ? token_read(path, token) : "no memory";

	if (reason != NULL)
		log_line(LOG_ERROR, "PPROFSHIM_TOKEN_FILE=", path, ": ", reason,
			 "; no TCP address is opened", NULL);
	return token != NULL ? token : &nobodys;
}

void policy_make(struct guard_policy *out, const struct policy_options *options)
{
	const char *bad = NULL;

	*out = (struct guard_policy){ .insecure = options->insecure,
				      .hosts = options->hosts,
				      .origins = options->origins };
	if (options->token_file != NULL && options->token_file[0] != '\0')
		out->token = read_token(options->token_file);
	if (options->origins != NULL)
		bad = guard_bad_origin(options->origins);
	if (bad != NULL)
		log_line(LOG_ERROR, "PPROFSHIM_CORS: ", bad,
			 ": not an origin, ignored; allowed: scheme://host or scheme://host:port",
			 NULL);
}

void policy_keep(struct address_list *list, const struct guard_policy *policy, bool says)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		const char *reason = guard_refuses(&list->address[i], policy);
		char text[ADDRESS_TEXT_MAX];

		if (reason == NULL) {
			list->address[kept++] = list->address[i];
			continue;
		}
		address_format(&list->address[i], text, sizeof(text));
		/* Of the token's file, a line says it all. */
		if (says && policy->token == NULL)
			log_line(LOG_ERROR, "PPROFSHIM_ADDR=", text, ": ", reason, NULL);
	}
	list->count = kept;
}
