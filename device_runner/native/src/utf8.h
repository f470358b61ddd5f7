// Valid UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace edgebench {

// The length of the sequence at `text`, or 0 where it is not valid. Never reads past `length`.
size_t utf8_sequence(const char* text, size_t length);
// As above, and the character; `code` is left alone where it is not valid.
size_t utf8_decode(const char* text, size_t length, uint32_t* code);
bool valid_utf8(const char* text, size_t length);
void append_utf8(std::string* out, uint32_t code);

}  // namespace edgebench
