#include "host/services/wake/backends/docker_api.h"

#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <set>

#include "host/endpoints/endpoint_dialer.h"
#include "host/services/wake/backends/docker_answers.h"

namespace nsrun {
namespace {

constexpr auto docker_call_limit = 20s;
constexpr std::size_t max_containers = 256;  // of a group; more are an error

std::string json_text(std::string_view text) {
  return boost::json::serialize(boost::json::string(text.data(), text.size()));
}

Error advised(Error error) {
  if (error.code == errno_code(EACCES))
    error.advice =
        "who may use it: for Docker the group docker; for Podman without root give "
        "--docker unix:///run/user/" +
        std::to_string(::getuid()) + "/podman/podman.sock";
  return error;
}

}  // namespace

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string encoded;
  for (const unsigned char c : text) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (is_letter || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~') {
      encoded += static_cast<char>(c);
      continue;
    }
    encoded += '%';
    encoded += digits[c >> 4];
    encoded += digits[c & 15];
  }
  return encoded;
}

Error refused_by_api(const std::string& doing, const HttpAnswer& answer) {
  const auto message = docker::parse_message(answer.body);
  return {doing + ": the API answers " + std::to_string(answer.status) +
          (message.empty() ? "" : " (" + message + ")")};
}

Result<DockerApi> DockerApi::make(const EndpointUrl& where, Executor executor) {
  auto dialer = endpoint_dialer(where, executor);
  if (!dialer) return dialer.error();
  return DockerApi("the Docker API at " + where.to_string(), std::move(*dialer), where.target());
}

HttpCall DockerApi::call_to(std::string verb, std::string path, std::string doing) const {
  return {*dialer_, target_, where_, "docker", std::move(verb), std::move(path), std::move(doing)};
}

Task<Result<HttpAnswer>> DockerApi::ask(HttpCall call, Clock::duration limit) const {
  auto answer = co_await http_call(std::move(call), limit);
  if (!answer) co_return advised(answer.error());
  co_return answer;
}

Task<Result<std::vector<std::string>>> DockerApi::list(const std::vector<std::string>& labels) const {
  std::set<std::string> all;
  for (const auto& label : labels) {
    const std::string filters = "{\"label\":[" + json_text(label) + "]}";
    const std::string path = "/containers/json?all=true&filters=" + percent_encoded(filters);
    auto call = call_to("GET", path, "cannot list the containers");
    const auto answer = co_await ask(std::move(call), docker_call_limit);
    if (!answer) co_return answer.error();
    if (answer->status != 200) co_return refused_by_api("cannot list containers", *answer);
    const auto ids = docker::parse_list(answer->body);
    if (!ids) co_return ids.error();
    all.insert(ids->begin(), ids->end());
    if (all.size() > max_containers)
      co_return Error{"more than " + std::to_string(max_containers) + " containers have the label " + label};
  }
  co_return Result<std::vector<std::string>>(boost::system::in_place_value, all.begin(), all.end());
}

Task<Result<HttpAnswer>> DockerApi::inspect(const std::string& id, const std::string& doing) const {
  auto call = call_to("GET", "/containers/" + percent_encoded(id) + "/json", doing);
  co_return co_await ask(std::move(call), docker_call_limit);
}

}  // namespace nsrun
