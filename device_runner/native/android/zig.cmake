# Android without its NDK: clang, lld, the C++ library and musl's C headers are those of a zig distribution; bionic's
# libraries are stood in for by empty ones with the right names, made from android/*.symbols.
#   EDGEBENCH_ZIG: the directory of zig's program. EDGEBENCH_MACHINE: aarch64 or x86_64.
set(CMAKE_SYSTEM_NAME Linux)  # "Android" would make CMake look for the NDK
set(CMAKE_SYSTEM_PROCESSOR ${EDGEBENCH_MACHINE})
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES EDGEBENCH_ZIG EDGEBENCH_MACHINE)

# Told and not tried: a trial would have zig build the C library of this host.
set(CMAKE_CXX_COMPILER ${EDGEBENCH_ZIG}/zig)
set(CMAKE_CXX_COMPILER_ARG1 c++)
set(CMAKE_CXX_COMPILER_ID Clang)
set(CMAKE_CXX_COMPILER_ID_RUN TRUE)
set(CMAKE_CXX_COMPILER_VERSION 20)
set(CMAKE_CXX_COMPILER_FORCED TRUE)
set(CMAKE_EXECUTABLE_FORMAT ELF)

set(headers ${EDGEBENCH_ZIG}/lib/libc/include)
set(CMAKE_CXX_FLAGS_INIT "-target ${EDGEBENCH_MACHINE}-linux-android.24 -nostdinc -nostdinc++ -fno-sanitize=all \
-fno-stack-protector -fno-builtin-stpcpy -ffunction-sections -fdata-sections \
-D_LIBCPP_ABI_VERSION=1 -D_LIBCPP_ABI_NAMESPACE=__ndk1 -D_LIBCPP_HAS_MUSL_LIBC=1 -D_LIBCPP_HAS_THREADS=1 \
-D_LIBCPP_HAS_THREAD_API_PTHREAD=1 -D_LIBCPP_HAS_MONOTONIC_CLOCK=1 -D_LIBCPP_HAS_LOCALIZATION=1 -D_LIBCPP_HAS_UNICODE=1 \
-D_LIBCPP_HAS_WIDE_CHARACTERS=1 -D_LIBCPP_HAS_FILESYSTEM=1 -D_LIBCPP_HAS_RANDOM_DEVICE=1 -D_LIBCPP_HAS_TERMINAL=1 \
-D_LIBCPP_HAS_TIME_ZONE_DATABASE=0 -D_LIBCPP_HAS_VENDOR_AVAILABILITY_ANNOTATIONS=0 -D_LIBCPP_PSTL_BACKEND_SERIAL \
-D_LIBCPP_HARDENING_MODE_DEFAULT=_LIBCPP_HARDENING_MODE_NONE \
-D_LIBCPP_ASSERTION_SEMANTIC_DEFAULT=_LIBCPP_ASSERTION_SEMANTIC_ENFORCE \
-I${EDGEBENCH_ZIG}/lib/libcxx/include -isystem ${headers}/${EDGEBENCH_MACHINE}-linux-musl \
-isystem ${headers}/generic-musl -isystem ${headers}/${EDGEBENCH_MACHINE}-linux-any -isystem ${headers}/any-linux-any")
# The linker itself: zig's compiler driver refuses to link for a C library that it does not have.
set(link "${EDGEBENCH_ZIG}/zig ld.lld -z max-page-size=16384 -z relro -z now -z noexecstack --hash-style=both \
--gc-sections --build-id=none --strip-all --no-undefined --error-limit=0 --no-as-needed --wrap=sysconf --wrap=sigaction")
set(CMAKE_CXX_LINK_EXECUTABLE "${link} -pie --dynamic-linker /system/bin/linker64 <LINK_FLAGS> <OBJECTS> -o <TARGET> <LINK_LIBRARIES>")
set(CMAKE_CXX_CREATE_SHARED_LIBRARY "${link} -shared -soname <TARGET_SONAME> <LINK_FLAGS> <OBJECTS> -o <TARGET> <LINK_LIBRARIES>")
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
