// A shared library of the bundle, opened by its full path.
#pragma once

#include <dlfcn.h>

#include <string>

#include "../failure.h"

namespace edgebench {

class Library {
 public:
  bool open(const char* lib_dir, const char* name, Failure* failure) {
    std::string path = std::string(lib_dir) + "/" + name;
    handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) return fail(failure, Code::library_missing, "%s", dlerror());
    name_ = name;
    return true;
  }

  template <typename Function>
  bool find(const char* symbol, Function** out, Failure* failure) {
    *out = reinterpret_cast<Function*>(dlsym(handle_, symbol));
    if (*out == nullptr) return fail(failure, Code::library_missing, "%s has no %s", name_, symbol);
    return true;
  }

 private:
  void* handle_ = nullptr;
  const char* name_ = "";
};

}  // namespace edgebench
