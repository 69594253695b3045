# SPDX-License-Identifier: Apache-2.0
ifd_test(base cpu base)
ifd_test(base team base)
