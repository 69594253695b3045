# SPDX-License-Identifier: Apache-2.0
ifd_test(model forward base kernels model text)
