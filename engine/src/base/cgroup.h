/* SPDX-License-Identifier: Apache-2.0
 *
 * cgroup.h - how many processors this process may really use.
 *
 * The least of the scheduler's affinity mask and, for each cgroup from the process's own up to the
 * root, its CPU quota: v2 `cpu.max`, v1 `cpu.cfs_quota_us / cpu.cfs_period_us`, rounded up.
 * Source: Linux Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst.
 */
#ifndef IFD_BASE_CGROUP_H
#define IFD_BASE_CGROUP_H

/* Quota in whole processors (>= 1), or 0 when there is none or it cannot be read. `root` stands
 * before /proc and /sys/fs/cgroup: "" in production, a recorded tree in tests. */
unsigned ifd_cgroup_cpu_quota(const char *root);
/* max(1, min(affinity, quota)). */
unsigned ifd_cpu_budget(void);

#endif
