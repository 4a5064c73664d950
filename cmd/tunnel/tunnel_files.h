#pragma once

#include <memory>
#include <string>

#include "host/tls/identity.h"
#include "runtime/task.h"

namespace nsrun {

// What the files are that options name. Errors say which option.

// Empty: no file was named.
Result<std::string> read_file(const std::string& option, const std::string& path);
// Both or none; null: none.
Result<std::shared_ptr<const TlsIdentity>> read_identity(const std::string& certificate,
                                                         const std::string& key);

// What `nsrun tunnel` ends with where the original would have: it cannot connect, or listen.
constexpr auto as_vtunnel = static_cast<ExitCode>(1);
Error as_original(Error error);

// --stall-limit: a time that is not 0.
Result<Clock::duration> stall_limit_of(const std::string& text);

}  // namespace nsrun
