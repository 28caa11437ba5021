#include "files.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "failure.h"

namespace effnet {

bool ReadWhole(const std::string &path, std::vector<uint8_t> *bytes) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;  // a pipe would be waited for
  const auto size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) return false;
  bytes->resize(size);
  file.read(reinterpret_cast<char *>(bytes->data()), static_cast<std::streamsize>(size));
  return file.good();
}

void WriteWhole(const std::string &path, const std::function<void(std::ostream &)> &write) {
  const std::string aside = path + ".part";
  std::ofstream file(aside, std::ios::binary);
  write(file);
  file.close();
  if (!file || std::rename(aside.c_str(), path.c_str())) {
    std::remove(aside.c_str());
    throw Failure(path + ": cannot be written; is there room?");
  }
}

void RequireWritable(const std::string &path) {
  const auto folder = std::filesystem::absolute(path).parent_path();
  std::error_code error;
  if (access(folder.c_str(), W_OK) || std::filesystem::is_directory(path, error))
    throw Failure(path + ": cannot be written; name a file in a folder that exists and is yours");
}

}  // namespace effnet
