#include "host/endpoints/endpoint_tls.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace nsrun {
namespace {

Error misuse(const EndpointUrl& endpoint, const std::string& what, std::string advice) {
  return {"'" + endpoint.text + "': " + what, {}, std::move(advice), ExitCode::usage};
}

std::string option(const EndpointUrl& endpoint, const std::string& key) {
  const auto found = endpoint.options.find(key);
  return found == endpoint.options.end() ? "" : found->second;
}

// The file that an option names; empty where there is no such option.
Result<std::string> file_of(const EndpointUrl& endpoint, const std::string& key) {
  const std::string path = option(endpoint, key);
  if (path.empty()) return Result<std::string>(boost::system::in_place_value, "");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file && (text << file.rdbuf())) return {boost::system::in_place_value, text.str()};
  return errno_error("cannot read " + path + " (" + key + " of " + endpoint.to_string() + ")");
}

Result<std::shared_ptr<const TlsIdentity>> identity_of(const EndpointUrl& endpoint) {
  if (option(endpoint, "cert").empty() != option(endpoint, "key").empty())
    return misuse(endpoint, "of cert and key one is there alone", "give both, as files with PEM");
  const auto certificate = file_of(endpoint, "cert"), key = file_of(endpoint, "key");
  if (!certificate) return certificate.error();
  if (!key) return key.error();
  if (certificate->empty()) return std::shared_ptr<const TlsIdentity>();
  auto identity = TlsIdentity::from_pem(*certificate, *key);
  if (!identity) {
    Error error = identity.error();
    error.doing += " of " + endpoint.to_string();
    return error;
  }
  return std::make_shared<const TlsIdentity>(std::move(*identity));
}

std::vector<std::string> protocols_of(const EndpointUrl& endpoint) {
  std::vector<std::string> protocols;
  std::istringstream list(option(endpoint, "alpn"));
  for (std::string one; std::getline(list, one, ',');)
    if (!one.empty()) protocols.push_back(one);
  return protocols;
}

}  // namespace

Result<TlsClientOptions> tls_client_options(const EndpointUrl& endpoint) {
  const std::string verify = option(endpoint, "verify");
  if (!verify.empty() && verify != "yes" && verify != "no")
    return misuse(endpoint, "verify is '" + verify + "'", "it is yes or no");
  auto identity = identity_of(endpoint);
  if (!identity) return identity.error();
  auto trusted = file_of(endpoint, "ca");
  if (!trusted) return trusted.error();
  return TlsClientOptions{.verify = verify != "no",
                          .trusted = std::move(*trusted),
                          .protocols = protocols_of(endpoint),
                          .identity = std::move(*identity)};
}

Result<std::unique_ptr<TlsContext>> tls_client(const EndpointUrl& endpoint) {
  auto options = tls_client_options(endpoint);
  if (!options) return options.error();
  return TlsContext::client(std::move(*options));
}

Result<std::unique_ptr<TlsContext>> tls_server(const EndpointUrl& endpoint) {
  for (const char* key : {"name", "verify"})
    if (endpoint.options.contains(key))
      return misuse(endpoint, std::string(key) + " is for an endpoint that is dialled", "leave it out");
  auto identity = identity_of(endpoint);
  if (!identity) return identity.error();
  if (!*identity) return misuse(endpoint, "a TLS listener needs a certificate", "add ?cert=FILE&key=FILE");
  auto trusted = file_of(endpoint, "ca");
  if (!trusted) return trusted.error();
  TlsServerOptions options;
  options.identity = [identity = std::move(*identity)](const std::string&) { return identity; };
  options.clients_trusted = std::move(*trusted);
  if (auto ours = protocols_of(endpoint); !ours.empty())
    options.choose_protocol = [ours](const std::vector<std::string>& offered) -> std::optional<std::string> {
      const auto both = [&](const std::string& one) { return std::ranges::count(offered, one) > 0; };
      const auto found = std::ranges::find_if(ours, both);
      return found == ours.end() ? std::nullopt : std::optional(*found);
    };
  return TlsContext::server(std::move(options));
}

}  // namespace nsrun
