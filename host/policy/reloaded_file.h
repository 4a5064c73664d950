#pragma once

#include <string>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// A policy file that is read again while a closed sandbox runs, whose guest may have the same user id and
// write where the file is. What is read is never the guest's to choose.
class ReloadedFile {
 public:
  // Before the sandbox starts, whose agent then guards the file (AgentOptions::guarded_files).
  static Result<ReloadedFile> hold(const std::string& path);

  // For reading: the file at the path, if it is the one that was held and has no other name, or if the path
  // leads there through directories and links that are root's alone, and so is the file. Else an error that
  // says why.
  Result<UniqueFd> open() const;

 private:
  ReloadedFile(std::string path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}

  std::string path_;
  UniqueFd file_;  // while it is open its inode number cannot become another file's
};

// ---- a part

// The file at the path (O_PATH), if only root may write it and every directory and link on the way there, and
// we are not root; else an invalid descriptor.
UniqueFd open_if_roots_alone(const std::string& path);

}  // namespace nsrun
