#include "cmd/tunnel/tunnel_files.h"

#include <fstream>
#include <sstream>

#include "host/text/units.h"

namespace nsrun {

Result<std::string> read_file(const std::string& option, const std::string& path) {
  if (path.empty()) return Result<std::string>(boost::system::in_place_value, "");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file && (text << file.rdbuf())) return {boost::system::in_place_value, text.str()};
  return errno_error("cannot read " + path + " (" + option + ")", "", ExitCode::usage);
}

Result<std::shared_ptr<const TlsIdentity>> read_identity(const std::string& certificate,
                                                         const std::string& key) {
  if (certificate.empty() && key.empty()) return std::shared_ptr<const TlsIdentity>();
  if (certificate.empty() || key.empty())
    return Error{
        "of certificate and key one was given alone", {}, "give both, as files with PEM", ExitCode::usage};
  const auto chain = read_file("the certificate", certificate), secret = read_file("the key", key);
  if (!chain) return chain.error();
  if (!secret) return secret.error();
  auto identity = TlsIdentity::from_pem(*chain, *secret);
  if (!identity) return identity.error();
  return std::make_shared<const TlsIdentity>(std::move(*identity));
}

Result<Clock::duration> stall_limit_of(const std::string& text) {
  auto time = parse_time(text);
  if (!time) time = parse_time(text + "s");
  if (time && time->count() > 0) return std::chrono::duration_cast<Clock::duration>(*time);
  return Error{
      "invalid --stall-limit '" + text + "'", {}, "write a time such as 20s or 2min", ExitCode::usage};
}

Error as_original(Error error) {
  if (error.exit != ExitCode::usage) error.exit = as_vtunnel;
  return error;
}

}  // namespace nsrun
