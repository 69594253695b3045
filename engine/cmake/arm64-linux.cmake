# SPDX-License-Identifier: Apache-2.0
# Toolchain: 64-bit ARM by Debian's cross compilers (gcc, or clang with -DIFD_CLANG=ON), tests under
# qemu-user. The libraries come from a folder that scripts/sysroot-arm64.sh fills; their paths become
# the run paths of the build tree, so qemu finds them there and libc in the cross compiler's folder.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(triple aarch64-linux-gnu)
if(IFD_CLANG)
  set(CMAKE_C_COMPILER clang-14)
  set(CMAKE_C_COMPILER_TARGET ${triple})
else()
  set(CMAKE_C_COMPILER ${triple}-gcc)
endif()
set(CMAKE_CXX_COMPILER ${triple}-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/${triple})

get_filename_component(sysroot ${CMAKE_CURRENT_LIST_DIR}/../../build/sysroot-arm64 ABSOLUTE)
set(ENV{PKG_CONFIG_LIBDIR} ${sysroot}/usr/lib/${triple}/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${sysroot})
# where a compiler of that architecture looks by itself
set(CMAKE_C_STANDARD_INCLUDE_DIRECTORIES ${sysroot}/usr/include/${triple})
