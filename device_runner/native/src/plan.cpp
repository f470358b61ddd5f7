#include "plan.h"

#include <cmath>
#include <cstdlib>

#include "fields.h"
#include "paths.h"
#include "samples.h"

namespace edgebench {

namespace {

constexpr int64_t kMaxDim = int64_t{1} << 40;
constexpr uint64_t kMaxSamples = 1u << 24;  // of one phase: a sample file of at most 512 MiB
constexpr size_t kMaxTensors = 64;
constexpr size_t kMaxStages = 8;
constexpr size_t kMaxAdapters = 16;

// Where an input comes from: a file, [stage, output] of an earlier stage, or over the link.
bool parse_source(Fields* fields, const std::string& where, TensorPlan* out, Failure* failure) {
  if (!fields->absent("link")) {
    int64_t link = 0;
    if (!fields->absent("file") || !fields->absent("from")) return fields->wrong("link", "an input comes from one place alone");
    if (!fields->whole("link", 0, static_cast<int64_t>(kMaxTensors) - 1, &link)) return false;
    out->link = static_cast<int>(link);
    return true;
  }
  if (fields->absent("from")) {
    if (!fields->text("file", 1024, &out->file)) return false;
    return is_confined(out->file) || fail(failure, Code::path_outside, "%s: %s leads out of the plan's directory",
                                          where.c_str(), out->file.c_str());
  }
  const Json* pair = nullptr;
  if (!fields->absent("file")) return fields->wrong("from", "an input has a file or comes from a stage, not both");
  if (!fields->list("from", 2, &pair)) return false;
  if (pair->items.size() != 2) return fields->wrong("from", "must be [stage, output]");
  for (const Json& item : pair->items)
    if (!item.is(Json::Type::integer) || item.integer < 0 || item.integer >= static_cast<int64_t>(kMaxTensors))
      return fields->wrong("from", "no such stage or output");
  out->from_stage = static_cast<size_t>(pair->items[0].integer);
  out->from_output = static_cast<size_t>(pair->items[1].integer);
  return true;
}

bool parse_tensor(const Json& json, const std::string& where, bool input, TensorPlan* out, Failure* failure) {
  Fields fields(json, where, failure);
  if (input ? !fields.only({"name", "dtype", "shape", "file", "from", "link", "adapters"})
            : !fields.only({"name", "dtype", "shape", "write", "adapters"}))
    return false;
  if (!fields.text("name", 255, &out->name) || !fields.dtype("dtype", &out->dtype)) return false;
  if (!fields.dims("shape", 1, kMaxDim, &out->shape)) return false;
  uint64_t bytes = 0;
  if (!byte_count(out->shape, out->dtype, &bytes)) return fields.wrong("shape", "the tensor is too large");
  if (input && !parse_source(&fields, where, out, failure)) return false;
  if (!input && json.get("write") && !fields.flag("write", &out->write)) return false;
  if (fields.absent("adapters")) return true;
  const Json* adapters = nullptr;
  if (!fields.list("adapters", kMaxAdapters, &adapters)) return false;
  for (size_t i = 0; i < adapters->items.size(); ++i) {
    Adapter adapter;
    std::string at = where + ".adapters[" + std::to_string(i) + "]";
    if (!parse_adapter(adapters->items[i], at, &adapter, failure)) return false;
    out->adapters.push_back(adapter);
  }
  return true;
}

bool parse_tensors(Fields* plan, const char* key, bool input, std::vector<TensorPlan>* out, Failure* failure) {
  const Json* list = nullptr;
  if (!plan->list(key, kMaxTensors, &list)) return false;
  for (size_t i = 0; i < list->items.size(); ++i) {
    TensorPlan tensor;
    std::string where = plan->path(key) + "[" + std::to_string(i) + "]";
    if (!parse_tensor(list->items[i], where, input, &tensor, failure)) return false;
    for (const TensorPlan& other : *out)
      if (other.name == tensor.name) return plan->wrong(key, "two tensors have the same name");
    out->push_back(std::move(tensor));
  }
  return true;
}

// The model and its ends, of the plan itself (the first stage) or of an entry of "then".
bool parse_stage(const Json& json, Fields* fields, Plan* plan, Failure* failure) {
  StagePlan stage;
  if (plan->far.wanted) return fields->wrong("far", "only the last stage can be on the far side");
  if (!fields->absent("far")) {
    if (!fields->absent("model")) return fields->wrong("far", "a stage has a model or is on the far side, not both");
    if (!parse_far(*json.get("far"), fields->path("far"), &plan->far, failure)) return false;
  } else if (!fields->text("model", 1024, &stage.model)) {
    return false;
  } else if (!is_confined(stage.model)) {
    return fail(failure, Code::path_outside, "%s: %s leads out of the plan's directory", fields->path("model").c_str(),
                stage.model.c_str());
  }
  if (!parse_tensors(fields, "inputs", true, &stage.inputs, failure)) return false;
  if (!parse_tensors(fields, "outputs", false, &stage.outputs, failure)) return false;
  for (const TensorPlan& input : stage.inputs) {
    if (!input.file.empty() || input.link >= 0) continue;
    std::vector<StagePlan>& before = plan->stages;
    if (input.from_stage >= before.size() || input.from_output >= before[input.from_stage].outputs.size())
      return fields->wrong("inputs", "one comes from a stage or an output that is not there, or is not earlier");
    TensorPlan& output = before[input.from_stage].outputs[input.from_output];
    if (output.dtype != input.dtype || !same_shape(output.shape, input.shape))
      return fields->wrong("inputs", "one is not of the type and shape of the output it comes from");
    output.taken = true;
  }
  plan->stages.push_back(std::move(stage));
  return true;
}

bool parse_later_stages(const Json& root, Fields* plan_fields, Plan* plan, Failure* failure) {
  const Json* list = nullptr;
  if (root.get("then") == nullptr) return true;
  if (!plan_fields->list("then", kMaxStages - 1, &list)) return false;
  for (size_t i = 0; i < list->items.size(); ++i) {
    Fields fields(list->items[i], "then[" + std::to_string(i) + "]", failure);
    if (!fields.only({"model", "far", "inputs", "outputs"}) || !parse_stage(list->items[i], &fields, plan, failure)) return false;
  }
  return true;
}

bool parse_phase(const Json& root, const char* key, uint64_t default_max, PhasePlan* out, Failure* failure) {
  out->max_count = default_max;
  const Json* json = root.get(key);
  if (json == nullptr) return true;
  Fields fields(*json, key, failure);
  if (!fields.only({"min_count", "min_ms", "max_count"})) return false;
  if (json->get("max_count") && !fields.count("max_count", kMaxSamples, &out->max_count)) return false;
  if (json->get("min_count") && !fields.count("min_count", kMaxSamples, &out->min_count)) return false;
  if (json->get("min_ms") && !fields.count("min_ms", 86400000, &out->min_ms)) return false;
  if (out->min_count > out->max_count) return fields.wrong("min_count", "more than max_count");
  return true;
}

bool parse_affinity(Fields* fields, Plan* plan) {
  if (fields->absent("affinity")) return true;
  const Json* list = nullptr;
  if (!fields->list("affinity", 1024, &list)) return false;
  if (list->items.empty()) return fields->wrong("affinity", "empty; null means no pinning");
  for (const Json& item : list->items) {
    if (!item.is(Json::Type::integer) || item.integer < 0 || item.integer > 1023)
      return fields->wrong("affinity", "an entry is not a CPU number");
    for (int other : plan->affinity)
      if (other == item.integer) return fields->wrong("affinity", "a CPU is named twice");
    plan->affinity.push_back(static_cast<int>(item.integer));
  }
  return true;
}

bool parse_streams(const Json& root, Fields* fields, Plan* plan) {
  int64_t streams = 1;
  if (root.get("streams") && !fields->whole("streams", 1, kMaxStreams, &streams)) return false;
  plan->streams = static_cast<int>(streams);
  const uint64_t each = plan->warmup.max_count + plan->steady.max_count;
  if (streams > 1 && each * static_cast<uint64_t>(streams) > 2 * kMaxSamples)
    return fields->wrong("streams", "so many streams of so many samples have no room");
  return true;
}

// A result that was slowed down must not be had by mistake, or from a plan of somebody else's.
bool parse_spin(const Json& root, Fields* fields, Plan* plan) {
  if (root.get("spin_percent") == nullptr) return true;
  if (getenv("EDGEBENCH_ALLOW_SPIN") == nullptr) return fields->wrong("spin_percent", "for tests of edgebench alone");
  return fields->real("spin_percent", 0, 1000, &plan->spin_percent);
}

bool parse_rest(const Json& root, Fields* fields, Plan* plan) {
  if (root.get("rest_us") == nullptr) return true;
  if (plan->streams > 1 || plan->spin_percent > 0) return fields->wrong("rest_us", "not with streams or spin_percent");
  return fields->count("rest_us", kMaxRestUs, &plan->rest_us);
}

// One thread: a pool of them spins on for a while when its call has ended, and that would be in another's turn.
bool parse_turns(const Json& root, Fields* fields, Plan* plan) {
  if (root.get("turn_ms") == nullptr) return true;
  if (!fields->count("turn_ms", kMaxTurnMs, &plan->turn_ms)) return false;
  if (plan->turn_ms == 0) return fields->wrong("turn_ms", "must be at least 1");
  if (plan->threads > 1 || plan->streams > 1 || plan->rest_us > 0)
    return fields->wrong("turn_ms", "not with threads, streams or rest_us");
  return true;
}

bool parse_limits(const Json& root, Fields* fields, Plan* plan) {
  plan->max_seconds = 120;
  plan->max_memory_mb = 4096;
  if (root.get("max_seconds") && !fields->real("max_seconds", 0.01, 604800, &plan->max_seconds)) return false;
  if (root.get("max_memory_mb") && !fields->count("max_memory_mb", 1u << 22, &plan->max_memory_mb)) return false;
  return plan->max_memory_mb > 0 || fields->wrong("max_memory_mb", "must be at least 1");
}

bool parse_outputs_kept(const Json& root, Fields* fields, Plan* plan, Failure* failure) {
  plan->output_cases = plan->cases;
  if (root.get("output_cases") && !fields->count("output_cases", plan->cases, &plan->output_cases)) return false;
  if (fields->absent("write_outputs")) return true;
  if (!fields->text("write_outputs", 1024, &plan->write_outputs)) return false;
  if (!is_confined(plan->write_outputs))
    return fail(failure, Code::path_outside, "write_outputs: %s leads out of the plan's directory",
                plan->write_outputs.c_str());
  for (const StagePlan& stage : plan->stages)
    for (const TensorPlan& output : stage.outputs)
      if (output.write) return true;
  return fields->wrong("write_outputs", "the plan declares no outputs");
}

// A far stage is driven by one stream, whose calls are crossings.
bool parse_far_side(const Json& root, Fields* fields, Plan* plan, Failure* failure) {
  if (plan->far.wanted && (plan->streams > 1 || plan->profile || plan->spin_percent > 0 || plan->turn_ms > 0))
    return fields->wrong("far", "not with streams, profile, spin_percent or turn_ms");
  if (!fields->absent("serve") && !parse_serve(*root.get("serve"), "serve", &plan->serve, failure)) return false;
  std::vector<bool> links(kMaxTensors);
  size_t count = 0;
  for (const StagePlan& stage : plan->stages) {
    for (const TensorPlan& input : stage.inputs) {
      if (plan->serve.wanted && !input.file.empty())
        return fields->wrong("serve", "an input of a far side comes over the link or from a stage, not from a file");
      if (input.link < 0) continue;
      if (!plan->serve.wanted) return fields->wrong("link", "only a far side's plan, with serve, has inputs over the link");
      if (links[static_cast<size_t>(input.link)]) return fields->wrong("link", "two inputs are the same tensor of a request");
      links[static_cast<size_t>(input.link)] = true;
      ++count;
    }
  }
  for (size_t k = 0; k < count; ++k)
    if (!links[k]) return fields->wrong("link", "the numbers of a request's tensors have a gap");
  if (!plan->serve.wanted) return true;
  if (plan->far.wanted) return fields->wrong("serve", "a far side has no far side of its own");
  return true;
}

// The stages; a far side that is there to measure a link has none.
bool parse_stages(const Json& root, Fields* fields, Plan* plan, Failure* failure) {
  if (!fields->absent("serve") && fields->absent("model") && fields->absent("inputs") && fields->absent("outputs") &&
      fields->absent("then"))
    return true;
  return parse_stage(root, fields, plan, failure) && parse_later_stages(root, fields, plan, failure);
}

bool known_keys(const Json& root, Fields* fields) {
  // What times and files a plan has makes no sense for a far side, which does as it is asked.
  if (root.get("serve") != nullptr)
    return fields->only({"protocol", "runtime", "backend", "model", "threads", "affinity", "inputs", "outputs", "max_seconds",
                         "max_memory_mb", "load_cold", "then", "serve"});
  return fields->only({"protocol", "runtime", "backend", "model", "far", "threads", "affinity", "inputs", "outputs", "cases",
                       "warmup", "steady", "max_seconds", "max_memory_mb", "write_outputs", "output_cases", "load_cold",
                       "then", "streams", "spin_percent", "rest_us", "turn_ms", "profile", "memory"});
}

}  // namespace

bool parse_adapter(const Json& json, const std::string& where, Adapter* out, Failure* failure) {
  Fields fields(json, where, failure);
  std::string op;
  if (!json.is(Json::Type::object)) return fields.only({});
  if (!fields.text("op", 32, &op)) return false;
  auto linear = [&] {
    int64_t low = -128, high = 255;
    if (!fields.real("scale", 1e-38, 1e38, &out->scale) || !fields.whole("zero_point", low, high, &out->zero_point))
      return false;
    return true;
  };
  if (op == "cast") {
    out->op = Adapter::Op::cast;
    return fields.only({"op", "to"}) && fields.dtype("to", &out->to);
  }
  if (op == "quantize") {
    out->op = Adapter::Op::quantize;
    if (!fields.only({"op", "to", "scale", "zero_point"}) || !fields.dtype("to", &out->to) || !linear()) return false;
    bool is_signed = out->to == DType::int8;
    if (!is_signed && out->to != DType::uint8) return fields.wrong("to", "int8 or uint8 is needed");
    bool fits = is_signed ? out->zero_point <= 127 : out->zero_point >= 0;
    return fits || fields.wrong("zero_point", "out of the type's range");
  }
  if (op == "dequantize") {
    out->op = Adapter::Op::dequantize;
    return fields.only({"op", "scale", "zero_point"}) && linear();
  }
  if (op == "transpose") {
    out->op = Adapter::Op::transpose;
    return fields.only({"op", "perm"}) && fields.dims("perm", 0, kMaxRank - 1, &out->axes);
  }
  if (op == "reshape") {
    out->op = Adapter::Op::reshape;
    return fields.only({"op", "shape"}) && fields.dims("shape", 1, kMaxDim, &out->axes);
  }
  return fields.wrong("op", "unknown adapter");
}

bool parse_plan(const std::string& text, Plan* plan, Failure* failure) {
  Json root;
  std::string error;
  if (!parse_json(text.data(), text.size(), &root, &error))
    return fail(failure, Code::plan_invalid, "the plan is not valid JSON: %s", error.c_str());
  Fields fields(root, "", failure);
  if (!known_keys(root, &fields)) return false;
  int64_t number = 0;
  if (!fields.whole("protocol", 1, 1, &number)) return false;
  if (!fields.text("runtime", 64, &plan->runtime)) return false;
  plan->backend = "cpu";
  if (root.get("backend") && !fields.text("backend", 64, &plan->backend)) return false;
  number = 1;
  if (root.get("threads") && !fields.whole("threads", 1, 256, &number)) return false;
  plan->threads = static_cast<int>(number);
  if (!parse_affinity(&fields, plan)) return false;
  if (!parse_stages(root, &fields, plan, failure)) return false;
  if (root.get("cases") && !fields.count("cases", 10000000, &plan->cases)) return false;
  if (plan->cases == 0) return fields.wrong("cases", "must be at least 1");
  if (!parse_phase(root, "warmup", 100000, &plan->warmup, failure)) return false;
  if (!parse_phase(root, "steady", 1000000, &plan->steady, failure)) return false;
  if (!parse_streams(root, &fields, plan) || !parse_spin(root, &fields, plan) ||
      !parse_rest(root, &fields, plan) || !parse_turns(root, &fields, plan))
    return false;
  if (!parse_limits(root, &fields, plan) || !parse_outputs_kept(root, &fields, plan, failure)) return false;
  if (root.get("load_cold") && !fields.flag("load_cold", &plan->load_cold)) return false;
  if (root.get("memory") && !fields.flag("memory", &plan->memory)) return false;
  if (root.get("profile") && !fields.flag("profile", &plan->profile)) return false;
  if (!parse_far_side(root, &fields, plan, failure)) return false;
  return !plan->profile || plan->streams == 1 || fields.wrong("profile", "of several streams at once nothing is told");
}

}  // namespace edgebench
