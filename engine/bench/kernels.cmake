# SPDX-License-Identifier: Apache-2.0
ifd_bench(kernels base text kernels model)
ifd_bench(pass base text kernels model)
