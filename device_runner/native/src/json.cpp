#include "json.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "utf8.h"

namespace edgebench {

namespace {

constexpr int kMaxDepth = 24;
constexpr size_t kMaxValues = 200000;

class Reader {
 public:
  Reader(const char* text, size_t length, std::string* error)
      : begin_(text), at_(text), end_(text + length), error_(error) {}

  bool document(Json* out) {
    if (static_cast<size_t>(end_ - begin_) > kMaxJsonBytes) return error("too large");
    if (!valid_utf8(begin_, static_cast<size_t>(end_ - begin_))) return error("not valid UTF-8");
    if (!value(out, 0)) return false;
    space();
    return at_ == end_ || error("something follows the value");
  }

 private:
  bool error(const char* what) {
    if (error_->empty()) *error_ = std::string(what) + " at byte " + std::to_string(at_ - begin_);
    return false;
  }

  void space() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) ++at_;
  }

  bool take(char wanted) {
    if (at_ == end_ || *at_ != wanted) return false;
    ++at_;
    return true;
  }

  bool word(const char* text) {
    size_t length = strlen(text);
    if (static_cast<size_t>(end_ - at_) < length || memcmp(at_, text, length) != 0) return error("bad word");
    at_ += length;
    return true;
  }

  bool value(Json* out, int depth) {
    if (depth > kMaxDepth) return error("nested too deeply");
    if (++values_ > kMaxValues) return error("too many values");
    space();
    if (at_ == end_) return error("unexpected end");
    switch (*at_) {
      case '{': return object(out, depth);
      case '[': return array(out, depth);
      case '"': out->type = Json::Type::string; return text(&out->string);
      case 't': out->type = Json::Type::boolean; out->boolean = true; return word("true");
      case 'f': out->type = Json::Type::boolean; return word("false");
      case 'n': return word("null");
      default: return number(out);
    }
  }

  bool object(Json* out, int depth) {
    out->type = Json::Type::object;
    ++at_;
    space();
    if (take('}')) return true;
    for (;;) {
      space();
      std::pair<std::string, Json> member;
      if (at_ == end_ || *at_ != '"') return error("expected a key");
      if (!text(&member.first)) return false;
      if (out->get(member.first.c_str()) != nullptr) return error("duplicate key");
      space();
      if (!take(':')) return error("expected ':'");
      if (!value(&member.second, depth + 1)) return false;
      out->members.push_back(std::move(member));
      if (out->members.size() > 4096) return error("too many keys");
      space();
      if (take('}')) return true;
      if (!take(',')) return error("expected ',' or '}'");
    }
  }

  bool array(Json* out, int depth) {
    out->type = Json::Type::array;
    ++at_;
    space();
    if (take(']')) return true;
    for (;;) {
      Json item;
      if (!value(&item, depth + 1)) return false;
      out->items.push_back(std::move(item));
      space();
      if (take(']')) return true;
      if (!take(',')) return error("expected ',' or ']'");
    }
  }

  bool hex4(uint32_t* out) {
    uint32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      if (at_ == end_) return error("bad escape");
      char c = *at_++;
      uint32_t digit = 0;
      if (c >= '0' && c <= '9') digit = static_cast<uint32_t>(c - '0');
      else if (c >= 'a' && c <= 'f') digit = static_cast<uint32_t>(c - 'a') + 10;
      else if (c >= 'A' && c <= 'F') digit = static_cast<uint32_t>(c - 'A') + 10;
      else return error("bad escape");
      code = code * 16 + digit;
    }
    *out = code;
    return true;
  }

  bool escape(std::string* out) {
    if (at_ == end_) return error("bad escape");
    static const char kFrom[] = "\"\\/bfnrt";
    static const char kTo[] = "\"\\/\b\f\n\r\t";
    char c = *at_++;
    if (c != 'u') {
      const char* found = c == '\0' ? nullptr : strchr(kFrom, c);
      if (found == nullptr) return error("bad escape");
      out->push_back(kTo[found - kFrom]);
      return true;
    }
    uint32_t code = 0;
    if (!hex4(&code)) return false;
    if (code >= 0xDC00 && code <= 0xDFFF) return error("lone surrogate");
    if (code >= 0xD800 && code <= 0xDBFF) {
      uint32_t low = 0;
      if (!take('\\') || !take('u') || !hex4(&low)) return error("lone surrogate");
      if (low < 0xDC00 || low > 0xDFFF) return error("lone surrogate");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(out, code);
    return true;
  }

  bool text(std::string* out) {
    ++at_;
    while (at_ < end_) {
      char c = *at_++;
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return error("control character in a string");
      if (c != '\\') out->push_back(c);
      else if (!escape(out)) return false;
    }
    return error("unterminated string");
  }

  bool digits() {
    const char* start = at_;
    while (at_ < end_ && *at_ >= '0' && *at_ <= '9') ++at_;
    return at_ > start;
  }

  bool number(Json* out) {
    const char* start = at_;
    bool whole = true;
    take('-');
    if (at_ < end_ && *at_ == '0') ++at_;
    else if (!digits()) return error("unexpected character");
    if (take('.')) {
      whole = false;
      if (!digits()) return error("bad number");
    }
    if (at_ < end_ && (*at_ == 'e' || *at_ == 'E')) {
      whole = false;
      ++at_;
      if (!take('+')) take('-');
      if (!digits()) return error("bad number");
    }
    if (at_ - start > 64) return error("number too long");
    std::string copy(start, at_);
    out->real = strtod(copy.c_str(), nullptr);
    out->type = Json::Type::real;
    if (whole) {
      errno = 0;
      out->integer = strtoll(copy.c_str(), nullptr, 10);
      if (errno == ERANGE) return error("integer out of range");
      out->type = Json::Type::integer;
    }
    if (out->real - out->real != 0) return error("number out of range");
    return true;
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  std::string* error_;
  size_t values_ = 0;
};

}  // namespace

const Json* Json::get(const char* key) const {
  for (const auto& member : members)
    if (member.first == key) return &member.second;
  return nullptr;
}

bool parse_json(const char* text, size_t length, Json* out, std::string* error) {
  error->clear();
  *out = Json();
  return Reader(text, length, error).document(out);
}

}  // namespace edgebench
