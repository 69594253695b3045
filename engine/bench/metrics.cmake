# SPDX-License-Identifier: Apache-2.0
ifd_bench(metrics base text kernels model sched codec server)
target_link_libraries(bench_metrics PRIVATE PkgConfig::UV)
