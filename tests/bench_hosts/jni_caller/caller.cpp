// jni_caller LIBRARY DIRECTORY LIB_DIR NOTES_DIR COMMAND...: calls Native.run of the library, and exits with what it returns. The
// few functions of a Java machine that it uses are here: a string is its characters, an array this program's arguments.
#include <dlfcn.h>
#include <jni.h>

#include <cstdio>
#include <cstring>

namespace {

struct Words {
  int count;
  char** words;
};

const char* characters(JNIEnv*, jstring string, jboolean*) { return reinterpret_cast<const char*>(string); }
void release(JNIEnv*, jstring, const char*) {}
jsize length(JNIEnv*, jarray array) { return reinterpret_cast<Words*>(array)->count; }
jobject element(JNIEnv*, jobjectArray array, jsize i) {
  return reinterpret_cast<jobject>(reinterpret_cast<Words*>(array)->words[i]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) return 99;
  void* library = dlopen(argv[1], RTLD_NOW);
  if (library == nullptr) {
    fprintf(stderr, "%s\n", dlerror());
    return 98;
  }
  using Run = jint(JNIEnv*, jclass, jstring, jobjectArray, jstring, jstring);
  auto run = reinterpret_cast<Run*>(dlsym(library, "Java_dev_edgedeploy_bench_core_Native_run"));
  if (run == nullptr) return 97;
  JNINativeInterface_ functions;
  memset(&functions, 0, sizeof functions);
  functions.GetStringUTFChars = characters;
  functions.ReleaseStringUTFChars = release;
  functions.GetArrayLength = length;
  functions.GetObjectArrayElement = element;
  JNIEnv env = {&functions};
  Words command = {argc - 5, argv + 5};
  auto text = [&](int i) { return reinterpret_cast<jstring>(argv[i]); };
  return run(&env, nullptr, text(2), reinterpret_cast<jobjectArray>(&command), text(3), text(4));
}
