// run-as PACKAGE COMMAND...: becomes the app's own user, in the app's directory, as Android's does for an app that is debuggable.
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string home = std::string("/data/data/") + argv[1];
  struct stat info;
  if (stat(home.c_str(), &info) != 0) {
    std::fprintf(stderr, "run-as: unknown package: %s\n", argv[1]);
    return 1;
  }
  if (access((home + "/debuggable").c_str(), F_OK) != 0) {
    std::fprintf(stderr, "run-as: package not debuggable: %s\n", argv[1]);
    return 1;
  }
  if (setgroups(0, nullptr) != 0 || setgid(info.st_gid) != 0 || setuid(info.st_uid) != 0 || chdir(home.c_str()) != 0) {
    std::perror("run-as");
    return 1;
  }
  execvp(argv[2], argv + 2);
  std::perror(argv[2]);
  return 127;
}
