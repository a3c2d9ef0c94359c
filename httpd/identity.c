#include "httpd/identity.h"

#include <linux/capability.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "sampler/levels.h"
#include "sampler/os.h"
#include "sampler/sys.h"

#define FEW_GROUPS 64

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
