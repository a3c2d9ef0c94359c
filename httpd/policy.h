/* httpd/policy.h -- who may come in, from the options: made once, at the start.
 *
 * Context   policy_make: the constructor.  policy_keep: the constructor, and our thread. */
#ifndef HTTPD_POLICY_H
#define HTTPD_POLICY_H

#include "httpd/address.h"
#include "httpd/guard.h"

struct policy_options {
	const char *token_file;         /* read now; "" or NULL: none */
	const char *hosts, *origins;    /* as in struct guard_policy; the texts stay */
	bool        insecure;
};

/* What is wrong with them is said on the log.  A token that cannot be read is one that nobody
 * has. */
void policy_make(struct guard_policy *out, const struct policy_options *options);

/* Takes out of the list what may not be opened; says so on the log, or not again. */
void policy_keep(struct address_list *list, const struct guard_policy *policy, bool says);

#endif
