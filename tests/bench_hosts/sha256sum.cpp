// sha256sum [FILE]: what Android's toybox does with BoringSSL, on the BoringSSL that adbd uses here. Debian's toybox has a
// digest of its own that is ten times slower, which would be measured as the time a push takes.
#include <cstdio>

extern "C" {
struct env_md_ctx_st;
struct env_md_st;
env_md_ctx_st* EVP_MD_CTX_new();
const env_md_st* EVP_sha256();
int EVP_DigestInit_ex(env_md_ctx_st*, const env_md_st*, void*);
int EVP_DigestUpdate(env_md_ctx_st*, const void*, size_t);
int EVP_DigestFinal_ex(env_md_ctx_st*, unsigned char*, unsigned*);
}

int main(int argc, char** argv) {
  std::FILE* file = argc > 1 ? std::fopen(argv[1], "rb") : stdin;
  if (file == nullptr) {
    std::perror(argv[1]);
    return 1;
  }
  env_md_ctx_st* context = EVP_MD_CTX_new();
  EVP_DigestInit_ex(context, EVP_sha256(), nullptr);
  static unsigned char buffer[1 << 16];
  while (const size_t read = std::fread(buffer, 1, sizeof buffer, file)) EVP_DigestUpdate(context, buffer, read);
  if (std::ferror(file) != 0) {
    std::perror(argc > 1 ? argv[1] : "stdin");
    return 1;
  }
  unsigned char digest[32];
  unsigned size = 0;
  EVP_DigestFinal_ex(context, digest, &size);
  for (const unsigned char byte : digest) std::printf("%02x", byte);
  std::printf("  %s\n", argc > 1 ? argv[1] : "-");
  return 0;
}
