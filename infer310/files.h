// Files read whole and written whole.
#ifndef EFFNET_FILES_H
#define EFFNET_FILES_H

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace effnet {

// The bytes of a file. False where it cannot be read to its end, or is a folder.
bool ReadWhole(const std::string &path, std::vector<uint8_t> *bytes);

// Writes aside and renames: the file appears whole or not at all. Throws Failure.
void WriteWhole(const std::string &path, const std::function<void(std::ostream &)> &write);

// Throws Failure if no file can be made at `path`: better known before hours of work than after.
void RequireWritable(const std::string &path);

}  // namespace effnet
#endif
