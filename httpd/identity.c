#include "httpd/identity.h"

#include <linux/capability.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "sampler/levels.h"
#include "sampler/os.h"
#include "sampler/sys.h"

#define FEW_GROUPS 64

/* What the kernel says of a user id that is none in this user namespace: /proc/sys/kernel/
 * overflowuid, which nobody changes. */
#define NO_ID 65534

static uint64_t hash_groups(int count, uint32_t *group)
{
	uint64_t hash = 0;

	if (sys_call2(SYS_getgroups, count, group) != count)
		return 0;
	for (int i = 0; i < count; i++)
		hash = levels_hash(hash + group[i] + 1);
	return hash;
}

static void get_groups(struct identity *id)
{
	uint32_t few[FEW_GROUPS], *many;
	size_t bytes;

	id->groups = (int)sys_call2(SYS_getgroups, 0, NULL);
	id->groups_hash = 0;
	if (id->groups <= 0)
		return;
	if (id->groups <= FEW_GROUPS) {
		id->groups_hash = hash_groups(id->groups, few);
		return;
	}
	bytes = (size_t)id->groups * sizeof(*many);
	many = os_map(bytes);
	if (many == NULL)
		return;
	id->groups_hash = hash_groups(id->groups, many);
	os_unmap(many, bytes);
}

void identity_get(struct identity *id)
{
	sys_call3(SYS_getresuid, &id->uid[0], &id->uid[1], &id->uid[2]);
	sys_call3(SYS_getresgid, &id->gid[0], &id->gid[1], &id->gid[2]);
	get_groups(id);
}

static bool has_all(const uint32_t now[static 3], const uint32_t had[static 3])
{
	for (unsigned i = 0; i < 3; i++)
		if (had[i] != now[0] && had[i] != now[1] && had[i] != now[2])
			return false;
	return true;
}

static bool may_set_groups(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct has[_LINUX_CAPABILITY_U32S_3] = { { 0, 0, 0 } };

	sys_call2(SYS_capget, &head, has);
	return (has[CAP_TO_INDEX(CAP_SETGID)].permitted & CAP_TO_MASK(CAP_SETGID)) != 0;
}

bool identity_gave_up(const struct identity *had)
{
	struct identity now;

	identity_get(&now);
	if (!has_all(now.uid, had->uid) || !has_all(now.gid, had->gid))
		return true;
	return (now.groups != had->groups || now.groups_hash != had->groups_hash) &&
	       !may_set_groups();
}

/* --- who asks -------------------------------------------------------------------------------- */

/* "0 0 4294967295": the first namespace, or one with the ids of all. */
static bool has_all_ids(const char *uid_map)
{
	static const char *const all[] = { "0", "0", "4294967295" };

	for (unsigned i = 0; i < COUNT_OF(all); i++) {
		size_t n = strlen(all[i]);

		uid_map += strspn(uid_map, " ");
		if (strncmp(uid_map, all[i], n) != 0 || strspn(uid_map, "0123456789") != n)
			return false;
		uid_map += n;
	}
	return true;
}

bool identity_is_trusted(uint32_t uid, uint32_t own, const char *uid_map)
{
	if (uid == 0)
		return true;
	return uid == own && (uid != NO_ID || has_all_ids(uid_map));
}

bool identity_may_ask(uint32_t uid)
{
	uint32_t own = (uint32_t)sys_call0(SYS_geteuid);
	char uid_map[256];
	long n = -1;
	int fd;

	if (uid != NO_ID || own != NO_ID)
		return identity_is_trusted(uid, own, "");
	fd = os_open_read("/proc/thread-self/uid_map");
	if (fd >= 0)
		n = os_read(fd, uid_map, sizeof(uid_map) - 1);
	os_close(fd);
	uid_map[n > 0 ? n : 0] = '\0';
	return identity_is_trusted(uid, own, uid_map);
}
