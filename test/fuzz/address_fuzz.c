/* Any bytes as a list of addresses, and as literal addresses beside libc's reading. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>

#include "fuzz/wall.h"
#include "httpd/address.h"
#include "httpd/address_literal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int ok)
{
	if (!ok)
		__builtin_trap();
}

static void check_literals(const uint8_t *data, size_t size)
{
	char text[64] = "";
	uint8_t ours[16], libcs[16];

	if (size >= sizeof(text) || memchr(data, 0, size) != NULL)
		return;
	memcpy(text, data, size);
	demand(address_literal_parse_v4(wall_copy(data, size), size, ours) ==
	       (inet_pton(AF_INET, text, libcs) == 1));
	demand(address_literal_parse_v6(wall_copy(data, size), size, ours) ==
	       (inet_pton(AF_INET6, text, libcs) == 1));
	if (inet_pton(AF_INET6, text, libcs) == 1)
		demand(memcmp(ours, libcs, 16) == 0);
}

/* What is written is read again as the same address; a path may need its signs doubled. */
static void check_text(const struct address *a)
{
	char *text = wall_room(ADDRESS_TEXT_MAX), twice[2 * ADDRESS_TEXT_MAX];
	size_t n = address_format(a, text, ADDRESS_TEXT_MAX), m = 0;
	struct address_list again;

	demand(n < ADDRESS_TEXT_MAX && text[n] == 0);
	demand(a->family == a->to.any.sa_family && a->len <= sizeof(a->to));
	if (a->family == AF_UNIX &&
	    (memchr(text, ',', n) != NULL || text[n - 1] == ' ' || text[n - 1] == '\t'))
		return;
	for (size_t i = 0; i < n; i++) {
		twice[m++] = text[i];
		if (text[i] == '%')
			twice[m++] = '%';
	}
	demand(address_parse(twice, m, 1, &again) == 1);
	demand(memcmp(&again.address[0], a, sizeof(*a)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address_list list;
	int n;

	if (size > WALL_ROOM)
		return 0;
	n = address_parse(wall_copy(data, size), size, 4194304, &list);
	demand(n == -EINVAL || (n >= 0 && n <= ADDRESS_MAX && (size_t)n == list.count));
	demand((n < 0) == (list.error != NULL) && list.error_at <= size);
	for (int i = 0; i < n; i++)
		check_text(&list.address[i]);
	check_literals(data, size);
	return 0;
}
