#include "plan_file.h"

#include <unistd.h>

#include "json.h"

namespace edgebench {

bool read_plan_file(const std::string& path, Directory* dir, std::string* text, Failure* failure) {
  size_t slash = path.rfind('/');
  std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (!open_directory(parent, Code::plan_missing, dir, failure)) return false;
  OpenFile file;
  if (!open_inside(*dir, name, {Code::plan_missing, Code::plan_missing}, &file, failure)) return false;
  bool read = read_all(file.fd, kMaxJsonBytes, text);
  close(file.fd);
  return read || fail(failure, Code::plan_invalid, "%s cannot be read or is too large", name.c_str());
}

bool load_plan(const std::string& path, Directory* dir, Plan* plan, Failure* failure) {
  std::string text;
  return read_plan_file(path, dir, &text, failure) && parse_plan(text, plan, failure);
}

}  // namespace edgebench
