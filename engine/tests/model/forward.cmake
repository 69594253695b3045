# SPDX-License-Identifier: Apache-2.0
ifd_test(model forward base kernels model text)
set_tests_properties(model.forward PROPERTIES TIMEOUT 1800) # every tier and dtype
