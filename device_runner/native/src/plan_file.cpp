#include "plan_file.h"

#include <unistd.h>

#include "json.h"

namespace edgebench {

bool load_plan(const std::string& path, Directory* dir, Plan* plan, Failure* failure) {
  size_t slash = path.rfind('/');
  std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (!open_directory(parent, Code::plan_missing, dir, failure)) return false;
  OpenFile file;
  if (!open_inside(*dir, name, {Code::plan_missing, Code::plan_missing}, &file, failure)) return false;
  std::string text;
  bool read = read_all(file.fd, kMaxJsonBytes, &text);
  close(file.fd);
  if (!read) return fail(failure, Code::plan_invalid, "%s cannot be read or is too large", name.c_str());
  return parse_plan(text, plan, failure);
}

}  // namespace edgebench
