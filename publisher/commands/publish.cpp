#include <map>
#include <utility>

#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "files/bundle.hpp"
#include "files/files.hpp"
#include "publisher/broker/broker_clock.hpp"
#include "publisher/broker/fleet.hpp"
#include "publisher/broker/fleet_plan.hpp"
#include "publisher/broker/pages.hpp"
#include "publisher/broker/rollout_outcome.hpp"
#include "publisher/broker/rollouts.hpp"
#include "publisher/broker/roots.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/commands/publish_doubts.hpp"
#include "publisher/commands/publish_image.hpp"
#include "publisher/commands/signing.hpp"
#include "publisher/console/json_fields.hpp"
#include "publisher/console/progress.hpp"
#include "publisher/console/text.hpp"
#include "publisher/release/keyring.hpp"
#include "publisher/release/publish_options.hpp"
#include "publisher/release/release_deltas.hpp"
#include "publisher/release/root_chain.hpp"

namespace instar::publisher::publish_command {
namespace {

constexpr std::size_t kSaltBytes = 16;

constexpr const char* kDeltaTimeDefault = "30min";

struct Options {
  PublishOptions release;
  PackedImageOptions image;
  ReleaseDeltaOptions deltas;
  std::string delta_time = kDeltaTimeDefault;
  bool no_delta = false;
  ConnectionOptions connection;
  SigningOptions signing;
  std::string manifest_out;
  std::string bundle;
  std::vector<std::string> root_chain;
  DoubtOptions doubts;
  bool unchecked = false;
  bool dry_run = false;
  bool wait = false;
  std::string wait_timeout;
  std::string link = "64kbit";
};

// All that is known before the broker is asked.
struct Prepared {
  ReleaseSpec spec;
  ArtifactFolders artifacts;
  std::vector<trust::SecretKey> keys;
  trust::TrustStore root;
  std::vector<Bytes> roots;  // older ones that were found in files
  std::int64_t wait_timeout_ms = 0;
  ReleaseDeltaOptions deltas;
  TreeFindings findings;  // of the trees; none with --unchecked
  Json packed;            // what --image became
};

struct Signed {
  wire::Manifest manifest;
  Bytes envelope;
  std::string rollout;
};

// Takes from the config file what the command line does not say. Errors: usage, when something that each release needs
// is said nowhere.
Outcome<void> settle_options(Options& options) {
  INSTAR_TRY(const auto config, load_config(options.connection.config_path));
  auto& release = options.release;
  release.product_default = config.release.product;
  release.groups_default = config.release.groups;
  INSTAR_CHECK(settle_image(options.image, release));
  if (auto missing = missing_option(release); !missing.empty())
    return fail(Exit::usage, Code::invalid_argument, std::move(missing));
  return settle_signing(options.signing, config.release);
}

Outcome<Prepared> prepare(const Options& options, const Console& console) {
  INSTAR_TRY(auto spec, release_of(options.release));
  std::int64_t wait_timeout_ms = 0;
  if (!options.wait_timeout.empty()) {
    INSTAR_TRY(wait_timeout_ms, parse_duration_ms(options.wait_timeout));
  }
  INSTAR_TRY(auto keys, load_secret_keys(options.signing.keys));
  INSTAR_TRY(const auto root_bytes, files::read_file(options.signing.root, limits::kMessageBytesMax));
  auto root = trust::TrustStore::from_pinned(root_bytes);
  if (!root) return fail(Failure(with_context(root.error(), options.signing.root)));
  INSTAR_TRY(auto packed, pack_image(options.image, options.release, options.unchecked, console));
  INSTAR_TRY(auto artifacts, open_artifacts(spec));
  TreeFindings findings;
  if (!options.unchecked) {
    INSTAR_TRY(findings, check_trees(spec, artifacts, console));
  }
  auto deltas = options.deltas;
  INSTAR_TRY(deltas.time_ms, parse_duration_ms(options.delta_time));
  INSTAR_TRY(auto roots, read_roots(options.root_chain, options.signing.root));
  return Prepared{std::move(spec), std::move(artifacts), std::move(keys),     std::move(*root), std::move(roots),
                  wait_timeout_ms, std::move(deltas),    std::move(findings), std::move(packed)};
}

// Makes the release's deltas and prints what was made. `session`: nullptr when the broker is not to be asked.
Outcome<Json> make_deltas(const Options& options, Prepared& prepared, Session* session, const Console& console) {
  if (options.no_delta) {
    leave_out_deltas(prepared.artifacts);
    return Json();
  }
  Fleet fleet;
  if (session != nullptr) {
    INSTAR_TRY(fleet, ask_fleet(*session, prepared.spec.product, prepared.spec.groups));
  }
  TerminalWork terminal(console);
  prepared.deltas.policy.options.work = terminal.work();
  auto made = make_release_deltas(prepared.artifacts, std::move(fleet), prepared.deltas);
  terminal.end();
  if (!made) return fail(failure_of(std::move(made.error())));
  console.text() << release_deltas_text(*made);
  return release_deltas_json(*made);
}

Outcome<Signed> sign(const Prepared& prepared, std::uint64_t sequence) {
  INSTAR_TRY(auto salt, files::random_bytes(kSaltBytes));
  INSTAR_TRY(auto manifest, make_manifest(prepared.spec, prepared.artifacts, sequence, wall_now(), std::move(salt)));
  INSTAR_TRY(auto envelope, sign_manifest(manifest, prepared.keys, prepared.root));
  INSTAR_TRY(const auto sealed, trust::parse_envelope(envelope));
  auto rollout = sealed.payload_hash.short_hex();
  return Signed{std::move(manifest), std::move(envelope), std::move(rollout)};
}

// The root documents before that of the release, for a bundle: from files, and from the broker what is missing there.
std::vector<Bytes> collect_chain(const Options& options, const Prepared& prepared, Session* session,
                                 const Console& console) {
  const auto version = prepared.root.root().version;
  auto found = prepared.roots;
  auto chain = chain_before(prepared.root.envelope(), found);
  if (missing_before(version, chain).empty()) return chain;
  // The broker may not be there when a bundle is made.
  std::unique_ptr<Session> own;
  if (session == nullptr) {
    if (auto opened = connect(options.connection)) own = std::move(*opened);
    session = own.get();
  }
  if (session != nullptr) {
    if (auto kept = fetch_roots(*session, version)) {
      for (auto& one : *kept) found.push_back(std::move(one));
      chain = chain_before(prepared.root.envelope(), found);
    }
  }
  if (const auto missing = missing_before(version, chain); !missing.empty()) {
    console.err << "instar: the bundle lacks version " << missing
                << " of the root document, and devices that hold an older one cannot take it: give the files with "
                   "--root-chain\n";
  }
  return chain;
}

// Writes copies of what was signed, if the options ask for them. `session`: nullptr when there is none.
Outcome<void> write_copies(const Options& options, const Prepared& prepared, const Signed& signed_manifest,
                           Session* session, const Console& console) {
  if (!options.manifest_out.empty())
    INSTAR_CHECK(files::write_file_atomic(options.manifest_out, signed_manifest.envelope));
  if (options.bundle.empty()) return {};
  std::vector<std::string> packs;
  for (const auto* pack : distinct_packs(prepared.artifacts)) packs.push_back(pack->path());
  INSTAR_CHECK(files::write_bundle(options.bundle, prepared.root.envelope(), signed_manifest.envelope, packs,
                                   collect_chain(options, prepared, session, console)));
  return {};
}

Outcome<UploadResult> upload(Session& session, const std::vector<const PackFile*>& packs, const Console& console) {
  Progress progress(console.err, console.err_is_terminal, "uploading", monotonic_now());
  return upload_packs(session, packs,
                      [&](std::uint64_t done, std::uint64_t all) { progress.update(done, all, monotonic_now()); });
}

std::uint64_t bytes_of(const std::vector<const PackFile*>& packs) {
  std::uint64_t bytes = 0;
  for (const auto* pack : packs) bytes += pack->wire_bytes();
  return bytes;
}

Json document_of(const Signed& signed_manifest, const Prepared& prepared) {
  Json groups = Json::array();
  for (const auto& group : signed_manifest.manifest.groups) groups.push_back(group.str());
  Json json{{"rollout", signed_manifest.rollout},
            {"product", signed_manifest.manifest.product},
            {"release", signed_manifest.manifest.release},
            {"sequence", signed_manifest.manifest.sequence},
            {"groups", std::move(groups)},
            {"manifest_bytes", signed_manifest.envelope.size()}};
  if (!prepared.packed.is_null()) json["packed"] = prepared.packed;
  return json;
}

// The sequence of `auto`: the broker knows its rollouts, and what devices have obeyed.
Outcome<std::uint64_t> ask_sequence(Session& session, const ReleaseSpec& spec, const Console& console) {
  INSTAR_TRY(const auto next, next_sequence(session, spec.product, spec.groups));
  if (next.refusing > 0) {
    console.err << "instar: " << next.refusing << " of " << count_of(next.devices, "device") << " will refuse sequence "
                << next.sequence << ": what they have obeyed is higher, or over 1,000,000 lower\n";
  }
  return next.sequence;
}

// Does everything except sending. If the sequence is given, the broker is not even asked.
Outcome<Exit> dry_run(const Options& options, Prepared& prepared, const Console& console) {
  std::uint64_t sequence = prepared.spec.sequence.value_or(0);
  std::unique_ptr<Session> session;
  if (!prepared.spec.sequence) {
    INSTAR_TRY(session, connect(options.connection));
    INSTAR_CHECK(check_before_publish(prepared.spec, prepared.artifacts, options.doubts, *session, console));
    INSTAR_CHECK(check_machines_of_devices(*session, prepared.spec, prepared.findings));
    INSTAR_TRY(sequence, ask_sequence(*session, prepared.spec, console));
  }
  INSTAR_TRY(auto deltas, make_deltas(options, prepared, session.get(), console));
  std::optional<std::vector<const PackFile*>> lacking;
  if (session != nullptr) {
    INSTAR_TRY(lacking, lacking_packs(*session, distinct_packs(prepared.artifacts)));
  }
  INSTAR_TRY(const auto signed_manifest, sign(prepared, sequence));
  INSTAR_CHECK(write_copies(options, prepared, signed_manifest, session.get(), console));
  console.text() << manifest_text(signed_manifest.manifest, wall_now())
                 << "\ndry run: nothing was sent. One message of " << signed_manifest.envelope.size()
                 << " bytes a group";
  if (lacking) console.text() << "; " << bytes_of(*lacking) << " bytes of packs would be uploaded";
  console.text() << "\n";
  auto json = document_of(signed_manifest, prepared);
  json["deltas"] = std::move(deltas);
  json["dry_run"] = true;
  json["upload_bytes"] = lacking ? Json(bytes_of(*lacking)) : Json();
  json["manifest"] = manifest_json(signed_manifest.manifest);
  console.document(json);
  return Exit::ok;
}

// "64kbit" a second, or bytes as parse_size() has them.
Result<std::uint64_t> parse_link(const std::string& text) {
  for (const auto& [unit, bits] :
       {std::pair<std::string_view, std::uint64_t>{"kbit", 1'000}, {"Mbit", 1'000'000}, {"bit", 1}}) {
    if (!text.ends_with(unit)) continue;
    INSTAR_TRY(const auto number, parse_size(std::string_view(text).substr(0, text.size() - unit.size())));
    if (number == 0) break;
    return std::max<std::uint64_t>(number * bits / 8, 1);
  }
  INSTAR_TRY(const auto bytes, parse_size(text));
  if (bytes == 0)
    return fail(Code::invalid_argument, "link '" + text + "' must be a rate such as 64kbit or 8k (bytes a second)");
  return bytes;
}

Outcome<std::vector<KnownDevice>> ask_devices(Session& session, const std::vector<GroupPath>& groups) {
  std::map<std::string, KnownDevice> devices;  // one may be in several of the groups
  for (const auto& group : groups) {
    const Json parameters{{"group", group.str()}, {"verbose", true}, {"count", 1'000}};
    INSTAR_CHECK(for_each_row(session, "listDevices", "devices", parameters,
                              [&](const Json& row) { devices[get_text(row, "device")] = read_device(row); }));
  }
  std::vector<KnownDevice> out;
  for (auto& [name, device] : devices) out.push_back(std::move(device));
  return out;
}

// The number is known for each base that a delta was made or tried against, because it is on this machine. For others
// `dedupe` is shown with "at most".
DedupeCosts dedupe_costs(const ArtifactFolders& artifacts) {
  DedupeCosts costs;
  for (const auto& [path, folder] : artifacts) {
    for (const auto& pack : folder.packs) {
      if (pack.directory().kind != artifact::PackKind::dedupe) continue;
      for (const auto& weight : folder.weights) {
        if (weight.dedupe_bytes) costs[{pack.id(), weight.base}] = *weight.dedupe_bytes;
      }
    }
  }
  return costs;
}

// Does everything that publish does except sending, with the fleet that the broker knows.
Outcome<Exit> plan(const Options& options, const Console& console) {
  PlanOptions how;
  how.now = wall_now();
  INSTAR_TRY(how.link_bytes_per_s, parse_link(options.link));
  INSTAR_TRY(auto prepared, prepare(options, console));
  INSTAR_TRY(const auto session, connect(options.connection));
  INSTAR_CHECK(check_machines_of_devices(*session, prepared.spec, prepared.findings));
  std::uint64_t sequence = prepared.spec.sequence.value_or(0);
  if (!prepared.spec.sequence) {
    INSTAR_TRY(sequence, ask_sequence(*session, prepared.spec, console));
  }
  INSTAR_TRY(auto deltas, make_deltas(options, prepared, session.get(), console));
  INSTAR_TRY(const auto signed_manifest, sign(prepared, sequence));
  INSTAR_TRY(const auto fleet, ask_devices(*session, prepared.spec.groups));
  const auto planned = plan_release(signed_manifest.manifest, signed_manifest.envelope.size(), fleet,
                                    dedupe_costs(prepared.artifacts), how.now);
  console.text() << plan_text(planned, how);
  auto json = document_of(signed_manifest, prepared);
  json["deltas"] = std::move(deltas);
  json["plan"] = plan_json(planned, how);
  console.document(json);
  return Exit::ok;
}

void warn_of_roots(const trust::RootDocument& root, const Console& console) {
  if (const auto warning = trust::expiry_warning(root, wall_now())) console.err << "instar: " << *warning << "\n";
}

// An older one than the broker's will do, while it names the same keys. To fill the chain is for `instar root publish`.
Outcome<RootOutcome> bring_newer_root(Session& session, const Prepared& prepared) {
  INSTAR_TRY(const auto held, ask_roots(session));
  if (held.version >= prepared.root.root().version) return RootOutcome{};
  return bring_root(session, prepared.root, chain_before(prepared.root.envelope(), prepared.roots));
}

Outcome<Exit> run(const Options& options, const Console& console) {
  INSTAR_TRY(auto prepared, prepare(options, console));
  if (options.dry_run) return dry_run(options, prepared, console);
  INSTAR_TRY(const auto session, connect(options.connection));
  INSTAR_TRY(const auto clock, ask_broker_clock(*session));
  INSTAR_CHECK(check_not_ahead(clock));
  if (const auto text = broker_clock_text(clock); !text.empty()) console.err << "instar: " << text << "\n";
  warn_of_roots(prepared.root.root(), console);
  INSTAR_CHECK(check_before_publish(prepared.spec, prepared.artifacts, options.doubts, *session, console));
  INSTAR_CHECK(check_machines_of_devices(*session, prepared.spec, prepared.findings));
  INSTAR_TRY(const auto root, bring_newer_root(*session, prepared));
  if (root.published) console.text() << "root document version " << root.version_now << " given to the broker\n";
  std::uint64_t sequence = prepared.spec.sequence.value_or(0);
  if (!prepared.spec.sequence) {
    INSTAR_TRY(sequence, ask_sequence(*session, prepared.spec, console));
  }
  INSTAR_TRY(auto deltas, make_deltas(options, prepared, session.get(), console));
  INSTAR_TRY(const auto signed_manifest, sign(prepared, sequence));
  INSTAR_CHECK(write_copies(options, prepared, signed_manifest, session.get(), console));
  const auto packs = distinct_packs(prepared.artifacts);
  INSTAR_TRY(const auto lacking, lacking_packs(*session, packs));
  INSTAR_TRY(const auto uploaded, upload(*session, lacking, console));
  console.text() << "packs: " << count_of(lacking.size(), "pack") << " uploaded (" << uploaded.bytes_sent << " bytes), "
                 << packs.size() - lacking.size() << " there already\n";
  INSTAR_TRY(const auto status,
             send_manifest(*session, signed_manifest.manifest, signed_manifest.envelope, signed_manifest.rollout));
  console.text() << "rollout " << signed_manifest.rollout << ": " << prepared.spec.product << " "
                 << prepared.spec.release << " (sequence " << sequence << ") is " << status.state << "\n";
  if (!status.waves.empty() && !status.waves.front().opened)
    console.text() << "it waits for " << status.waits_for << "\n";
  auto json = document_of(signed_manifest, prepared);
  json["deltas"] = std::move(deltas);
  json["state"] = status.state;
  json["uploaded_bytes"] = uploaded.bytes_sent;
  if (!options.wait) {
    console.text() << "Next: instar rollout watch " << signed_manifest.rollout << "\n";
    console.document(json);
    return Exit::ok;
  }
  // Progress is text for people. With --json there is one document at the end instead.
  const Console watching{console.text(), console.err, console.json ? console.err_is_terminal : console.out_is_terminal,
                         console.err_is_terminal, false};
  INSTAR_TRY(const auto last, watch_rollout(*session, watching, signed_manifest.rollout, prepared.wait_timeout_ms));
  console.text() << ending_text(last);
  json["state"] = last.state;
  json["outcome"] = last.outcome;
  json["devices"] = last.devices;
  json["committed"] = last.count("committed");
  json["unsuccessful"] = last.unsuccessful();
  json["bytes_sent"] = last.bytes_sent;
  console.document(json);
  return exit_of(last);
}

void add_release_options(CLI::App& command, PublishOptions& options) {
  command
      .add_option("SPEC,--spec", options.spec_path,
                  "Release file (JSON) that describes the containers; `instar help release-file`")
      ->type_name("FILE");
  command
      .add_option("--group,-g", options.groups,
                  "Group of devices; repeat for several. plant-7 reaches plant-7/line-a too")
      ->type_name("PATH");
  command.add_option("--product", options.product, "The kind of device that the release is for")->type_name("NAME");
  command.add_option("--release", options.release, "What people call this release, e.g. 2.4.1")->type_name("NAME");
  command.add_option("--artifact", options.artifact, "Artifact folder of the one container, which is called app")
      ->type_name("OUT");
  command.add_option("--container", options.containers, "Container with a name of its own; repeat for several")
      ->type_name("NAME=OUT");
  command.add_option("--init", options.init, "Command of the container's init [/sbin/init of the tree]")
      ->type_name("CMD");
  command.add_option("--probe", options.probe, "Command that must exit 0 inside the container for it to be healthy")
      ->type_name("CMD");
  command.add_option("--settle", options.settle, "How long the container must run before it counts as healthy [10s]")
      ->type_name("TIME");
  command.add_option("--set", options.settings, "LXC setting; repeat for several")->type_name("lxc.KEY=VALUE");
  command
      .add_option("--volume", options.volumes, "Folder that outlives updates, and where it appears; repeat for several")
      ->type_name("NAME:/PATH");
  command.add_option("--requires-arch", options.architectures, "Machines it runs on (uname -m), by commas [any]")
      ->delimiter(',')
      ->type_name("ARCH");
  command.add_option("--sequence", options.sequence, "Rank among the product's releases; devices never go down [auto]")
      ->type_name("N|auto");
  command.add_option("--expires", options.expires, "After this time devices no longer begin with it [never]")
      ->type_name("TIME");
  command.add_option("--notes", options.notes, "Words for people")->type_name("TEXT");
  command.add_flag("--metered-fallback", options.metered_fallback,
                   "Let devices on metered links take a costlier pack when the cheapest fails");
}

void add_policy_options(CLI::App& command, PublishOptions& options) {
  const auto add = [&](const char* flag, auto& value, const char* help, const char* type) {
    return command.add_option(flag, value, help)->group("Rollout")->type_name(type);
  };
  const auto add_flag = [&](const char* flag, bool& value, const char* help) {
    command.add_flag(flag, value, help)->group("Rollout");
  };
  add("--wave", options.waves,
      "Who goes first: a number of devices, a share (10%), or device ids by commas; then, after a colon, success=95%, "
      "soak=1h, approval, "
      "quorum=30%. Repeat for the next ones; everyone follows the last",
      "WHO[:HOW]")
      ->allow_extra_args(false);
  add("--max-failures", options.failures_max, "Failed devices that stop the rollout [no bound]", "N|P%");
  add("--on-failure", options.on_failure, "What follows then: pause, abort or revert [pause]", "ACTION");
  add("--in-flight", options.in_flight, "Devices under way at a time, at most", "N");
  add("--starts-per-minute", options.starts_per_minute, "Devices that begin in a minute, at most", "N");
  add("--attempts", options.attempts, "Attempts of each device [1]", "N");
  add("--start-within", options.start_within, "Devices that have not begun after this time do not any more [whenever]",
      "TIME");
  add("--stale-after", options.stale_after,
      "A gate that the broker signed longer ago lets no device begin, where its clock can tell: 2d or more [any age]",
      "TIME");
  add("--window", options.windows,
      "Maintenance window in the device's local time, like \"Mon-Fri 02:00 4h\"; repeat for several",
      "\"DAYS HH:MM TIME\"")
      ->allow_extra_args(false);
  add_flag("--download-any-time", options.download_any_time, "Only the switch waits for a window");
  add_flag("--consent", options.consent, "Each device waits until its owner says yes (instar-device allow)");
  add_flag("--unmetered-only", options.unmetered_only, "Devices on metered links wait");
  add("--approval", options.approval,
      "What the approval of a wave must be: plain, or signed by a key, which each device checks [plain]",
      "plain|signed");
  add_flag("--revert-allowed", options.revert_allowed, "The release may be taken back later (instar rollout revert)");
  add("--fall-back-stops", options.fall_back_stops,
      "A device goes back to the release before when a container stops so often within an hour after the commit "
      "[never]",
      "N");
  add("--device-bytes", options.device_bytes, "Bytes that one device may fetch, at most", "SIZE");
  add("--rollout-bytes", options.rollout_bytes,
      "Bytes that all devices together may fetch, at most; then the rollout pauses", "SIZE");
  add("--rate", options.rate, "Bytes a second that one device fetches, at most", "SIZE");
}

void add_delta_options(CLI::App& command, Options& options) {
  const auto add = [&](const char* flag, auto& value, const char* help, const char* type) {
    return command.add_option(flag, value, help)->group("Deltas")->type_name(type);
  };
  add("--base", options.deltas.bases,
      "Make a delta against this tree, image file, archive, container image or artifact folder of before too; repeat "
      "for several",
      "OLD")
      ->allow_extra_args(false);
  add("--artifacts", options.deltas.artifacts,
      "Folder of artifact folders, to find in it what devices run; those beside each artifact are found", "DIR");
  add("--deltas-max", options.deltas.deltas_max, "Deltas against what devices run, at most; most devices first [4]",
      "N")
      ->check(CLI::Range(std::size_t{0}, limits::kPacksMax));
  add("--delta-time", options.delta_time,
      "How long making deltas may take; those not made by then are left out [30min]", "TIME");
  add("--jobs", options.deltas.policy.options.jobs, "Threads that compare files [one a processor]", "N")
      ->check(CLI::Range(1, 256));
  command
      .add_flag("--no-delta", options.no_delta, "Make no deltas, and leave out those that the artifact folders have")
      ->group("Deltas");
}

}  // namespace

void add(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("publish",
                                     "Sign a release and send it out to groups of devices\n\n"
                                     "Asks the broker what the devices run, makes deltas against it, most devices "
                                     "first, where they pay and the artifact is at hand, and "
                                     "keeps "
                                     "them in the artifact folder. Uploads the packs that the broker lacks, signs the "
                                     "manifest, publishes it to each group and waits for "
                                     "the broker's word. "
                                     "Ends with 4 and the broker's reason if it is refused. Run again after a failure: "
                                     "what is stored is not sent twice.");
  add_release_options(*command, options->release);
  add_packed_image(*command, options->image, options->release);
  add_policy_options(*command, options->release);
  add_delta_options(*command, *options);
  add_signing(*command, options->signing, "Root document, to check the signature as devices will");
  command->add_flag("--unchecked", options->unchecked,
                    "Do not look whether init, probe, their interpreters and libraries are in the trees");
  command->add_option("--manifest-out", options->manifest_out, "Write the signed manifest to this file too")
      ->type_name("FILE");
  command
      ->add_option(
          "--bundle", options->bundle,
          "Write the release and its packs to one file too, for `instar-device install FILE` where there is no link")
      ->type_name("FILE");
  command
      ->add_option("--root-chain", options->root_chain,
                   "Root documents before that of --root, for the broker and for the bundle: files, or folders of "
                   "*.instar; those beside --root are found, and those that the broker keeps")
      ->type_name("FILE")
      ->allow_extra_args(false);
  add_doubts(*command, options->doubts);
  command->add_flag("--dry-run", options->dry_run, "Do everything but send; with --sequence N no broker is needed");
  auto* wait = command->add_flag("--wait", options->wait,
                                 "Follow the rollout until it is over; ends with 7 if devices did not take it");
  command->add_option("--wait-timeout", options->wait_timeout, "Give up waiting after this time, ends with 6 [never]")
      ->type_name("TIME")
      ->needs(wait);
  add_json(*command, context);
  add_connection(*command, options->connection);
  command->footer(
      "Examples:\n"
      "  instar publish -g plant-7 --product gateway --release 2.4.1 --artifact out/web-2.4.1 \\\n"
      "      --init /usr/sbin/webd --probe \"/usr/bin/curl -sf http://localhost/\" --root keys/root.instar --key "
      "keys/release.key\n"
      "  instar publish -g plant-7 --product gateway --release 2.4.1 --image web.tar --root keys/root.instar --key "
      "keys/release.key\n"
      "  instar publish --spec release.json --root keys/root.instar --key keys/release.key --wait");
  command->callback([options, &context] {
    context.run = [options, &context]() -> Outcome<Exit> {
      INSTAR_CHECK(settle_options(*options));
      return run(*options, context.console);
    };
  });
}

void add_plan(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "plan",
      "Reckon what a release would cost, before anything is sent\n\n"
      "Takes what `instar publish` takes. For each group: which devices take which pack, the bytes of each and of all, "
      "the time at a given link, how large the waves are, and which devices would refuse it and why.");
  add_release_options(*command, options->release);
  add_packed_image(*command, options->image, options->release);
  add_policy_options(*command, options->release);
  add_delta_options(*command, *options);
  add_signing(*command, options->signing, "Root document, to check the signature as devices will");
  command->add_flag("--unchecked", options->unchecked,
                    "Do not look whether init, probe, their interpreters and libraries are in the trees");
  command
      ->add_option("--link", options->link,
                   "Rate of a device's link, in bits (64kbit, 1Mbit) or bytes a second [64kbit]")
      ->type_name("RATE");
  add_json(*command, context);
  add_connection(*command, options->connection);
  command->callback([options, &context] {
    context.run = [options, &context]() -> Outcome<Exit> {
      INSTAR_CHECK(settle_options(*options));
      return plan(*options, context.console);
    };
  });
}

}  // namespace instar::publisher::publish_command
