#include "model.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>

#include "failure.h"
#include "include/api/context.h"

namespace effnet {

constexpr int kDefaultBatch = 8;

static bool IsThere(const std::string &folder, const std::string &prefix) {
  std::error_code error;
  for (const auto &entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().filename().string().rfind(prefix, 0) == 0) return true;
  return false;
}

// MindSpore Lite says no more than "Common error code." if a device is missing: look first. Its plugin for the device
// is what needs the vendor's libraries, so loading it tells which of them is absent.
static void RequireDevice(const std::string &device, const std::string &plugin, const std::string &node,
                          const std::string &software) {
  if (!dlopen(plugin.c_str(), RTLD_LAZY | RTLD_LOCAL))
    throw Failure("--device=" + device + ": " + software + " cannot be loaded (" + dlerror() +
                      "); install it or use --device=cpu",
                  kNoDevice);
  if (!IsThere("/dev", node))
    throw Failure("--device=" + device + ": no such device on this machine (/dev/" + node + "*)", kNoDevice);
}

static std::shared_ptr<mindspore::DeviceInfoContext> DeviceInfo(const std::string &device, uint32_t id) {
  if (device == "cpu") return std::make_shared<mindspore::CPUDeviceInfo>();
  if (device == "gpu") {
    RequireDevice(device, "libtensorrt_plugin" EFFNET_PLUGIN_SUFFIX ".so", "nvidia", "TensorRT 8 with CUDA 11");
    auto info = std::make_shared<mindspore::GPUDeviceInfo>();
    info->SetDeviceID(id);
    return info;
  }
  if (device == "ascend310" || device == "ascend310p") {
    RequireDevice(device, "libascend_kernel_plugin" EFFNET_PLUGIN_SUFFIX ".so", "davinci", "CANN");
    auto info = std::make_shared<mindspore::AscendDeviceInfo>();  // serves 310 and 310P
    info->SetDeviceID(id);
    return info;
  }
  throw Failure("--device=" + device + ": not one of cpu, gpu, ascend310, ascend310p");
}

Model::Model(const std::string &path, const std::string &device, int device_id, int threads, int batch, size_t pictures)
    : path_(path) {
  auto context = std::make_shared<mindspore::Context>();
  context->SetThreadNum(threads);
  context->MutableDeviceInfo().push_back(DeviceInfo(device, static_cast<uint32_t>(device_id)));
  if (!std::filesystem::is_regular_file(path)) throw Failure(path + ": no such model file");
  if (model_.Build(path, mindspore::kMindIR, context).IsError())
    throw Failure(
        path + ": not a model MindSpore Lite can load on " + device +
        "; give it a MINDIR of version 1 (the build310 stage writes it), and GLOG_v=1 to see Lite's own messages");
  auto inputs = model_.GetInputs();
  if (inputs.size() != 1 || inputs[0].Shape().size() != 4 || inputs[0].Shape()[1] != 3 || inputs[0].Shape()[2] < 1 ||
      inputs[0].Shape()[3] < 1 || inputs[0].DataType() != mindspore::DataType::kNumberTypeFloat32)
    throw Failure(path + ": expected one input of shape (N, 3, height, width), float32");
  shape_ = inputs[0].Shape();
  const bool open = shape_[0] < 1;
  if (!open && batch && batch != shape_[0])
    throw Failure("--batch " + std::to_string(batch) + ": " + path + " has a fixed batch of " +
                  std::to_string(shape_[0]));
  if (open) {
    shape_[0] = std::min<int64_t>(batch ? batch : kDefaultBatch, static_cast<int64_t>(pictures));
    if (model_.Resize(inputs, {shape_}).IsError())
      throw Failure(path + ": cannot be set to a batch of " + std::to_string(shape_[0]));
  }
}

std::vector<float> Model::Predict(const std::vector<float> &pictures) {
  auto inputs = model_.GetInputs();
  const size_t bytes = pictures.size() * sizeof(float);
  if (inputs[0].DataSize() != bytes) throw Failure(path_ + ": input of another size than the model's", kUnexpected);
  std::memcpy(inputs[0].MutableData(), pictures.data(), bytes);
  std::vector<mindspore::MSTensor> outputs;
  if (model_.Predict(inputs, &outputs).IsError())
    throw Failure(path_ + ": inference failed; GLOG_v=1 shows why", kUnexpected);
  if (outputs.size() != 1 || outputs[0].Shape().size() != 2 || outputs[0].Shape()[0] != shape_[0] ||
      outputs[0].DataType() != mindspore::DataType::kNumberTypeFloat32)
    throw Failure(path_ + ": expected one output of shape (N, classes), float32");
  const auto *logits = static_cast<const float *>(outputs[0].MutableData());
  return {logits, logits + outputs[0].ElementNum()};
}

}  // namespace effnet
