#include "far_plan.h"

#include "fields.h"
#include "frame.h"
#include "paths.h"

namespace edgebench {

namespace {

constexpr int64_t kMostClients = 64;

bool parse_token_file(Fields* fields, std::string* out) {
  if (fields->absent("token_file")) return true;
  if (!fields->text("token_file", 255, out)) return false;
  // It is removed once it was read, so it is a plain name: nothing elsewhere can be meant.
  return (is_confined(*out) && out->find('/') == std::string::npos) || fields->wrong("token_file", "must be a plain name");
}

bool parse_seconds(Fields* fields, const char* key, double least, double most, double* out) {
  return fields->absent(key) || fields->real(key, least, most, out);
}

}  // namespace

bool parse_far(const Json& json, const std::string& where, FarPlan* out, Failure* failure) {
  Fields fields(json, where, failure);
  if (!fields.only({"host", "port", "plan_sha256", "token_file", "connect_seconds", "reconnect_seconds", "stall_seconds"}))
    return false;
  int64_t port = 0;
  std::string digest;
  if (!fields.text("host", 64, &out->address.host) || !fields.whole("port", 1, 65535, &port)) return false;
  if (!is_numeric_host(out->address.host)) return fields.wrong("host", "must be a numeric address");
  out->address.port = static_cast<uint16_t>(port);
  if (!fields.text("plan_sha256", 64, &digest)) return false;
  if (!digest_from_hex(digest, &out->plan)) return fields.wrong("plan_sha256", "must be 64 hexadecimal digits");
  out->wanted = true;
  return parse_token_file(&fields, &out->token_file) &&
         parse_seconds(&fields, "connect_seconds", 0, 600, &out->connect_seconds) &&
         parse_seconds(&fields, "reconnect_seconds", 0, 600, &out->reconnect_seconds) &&
         parse_seconds(&fields, "stall_seconds", 0.01, 3600, &out->stall_seconds);
}

bool parse_serve(const Json& json, const std::string& where, ServePlan* out, Failure* failure) {
  Fields fields(json, where, failure);
  if (!fields.only({"token_file", "clients", "more", "idle_seconds", "stall_seconds"})) return false;
  int64_t clients = 1;
  std::string more = "refuse";
  if (json.get("clients") && !fields.whole("clients", 1, kMostClients, &clients)) return false;
  if (json.get("more") && !fields.text("more", 16, &more)) return false;
  if (more != "refuse" && more != "queue") return fields.wrong("more", "refuse or queue");
  out->clients = static_cast<size_t>(clients);
  out->queue = more == "queue";
  out->wanted = true;
  return parse_token_file(&fields, &out->token_file) &&
         parse_seconds(&fields, "idle_seconds", 0.01, 604800, &out->idle_seconds) &&
         parse_seconds(&fields, "stall_seconds", 0.01, 3600, &out->stall_seconds);
}

bool parse_link(const std::string& text, LinkPlan* out, Failure* failure) {
  Json root;
  std::string error;
  if (!parse_json(text.data(), text.size(), &root, &error))
    return fail(failure, Code::plan_invalid, "the plan is not valid JSON: %s", error.c_str());
  Fields fields(root, "", failure);
  int64_t protocol = 0;
  if (!fields.only({"protocol", "far", "echoes", "echo_bytes", "bytes", "rounds", "rest_us", "most_seconds"})) return false;
  if (!fields.whole("protocol", 1, 1, &protocol)) return false;
  const Json* far = root.get("far");
  if (far == nullptr) return fields.wrong("far", "missing");
  if (!parse_far(*far, "far", &out->far, failure)) return false;
  if (root.get("echoes") && !fields.count("echoes", 100000, &out->echoes)) return false;
  if (root.get("echo_bytes") && !fields.count("echo_bytes", kMostEcho, &out->echo_bytes)) return false;
  if (root.get("bytes") && !fields.count("bytes", kMostBulk, &out->bytes)) return false;
  if (root.get("rounds") && !fields.count("rounds", 1000, &out->rounds)) return false;
  if (out->echoes == 0 || out->rounds == 0) return fields.wrong("echoes", "at least one echo and one round");
  if (root.get("rest_us") && !fields.count("rest_us", kMaxRestUs, &out->rest_us)) return false;
  return parse_seconds(&fields, "most_seconds", 0, 3600, &out->most_seconds);
}

}  // namespace edgebench
