#include <optional>
#include <utility>

#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/artifact/tree_notes_view.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/delta/artifact_deltas.hpp"

namespace instar::publisher::pack_command {
namespace {

struct Options {
  BuildOptions build;
  std::vector<std::string> kinds{"full", "dedupe"};
  std::vector<std::string> bases;
  std::string times = "release";
  DeltaPolicy delta;
  bool unchecked = false;

  // A base is of the same platform; its name and digest are others.
  [[nodiscard]] ImageWish base_image() const {
    ImageWish wish;
    wish.architectures = build.image.architectures;
    return wish;
  }
};

Result<std::vector<artifact::PackKind>> parse_kinds(const Options& options) {
  std::vector<artifact::PackKind> kinds;
  for (const auto& name : options.kinds) {
    if (name == "full") {
      kinds.push_back(artifact::PackKind::full);
    } else if (name == "dedupe") {
      kinds.push_back(artifact::PackKind::dedupe);
    } else if (name != "delta") {
      return fail(Code::invalid_argument, "pack kind '" + name + "' must be full, dedupe or delta");
    } else if (options.bases.empty()) {
      return fail(Code::invalid_argument,
                  "a delta needs the tree or artifact that it is against: name it with --base OLD");
    }
  }
  return kinds;
}

// A base is read after OUT has been emptied and filled.
Status check_bases(const Options& options) {
  const std::string& out = options.build.out;
  for (const auto& base : options.bases) {
    if (real_path(base).empty()) return fail(Code::not_found, base + ", given with --base: no such folder or file");
    if (real_path(base) == real_path(out)) {
      return fail(
          Code::invalid_argument,
          base + " is where the new artifact goes: choose another folder with -o" +
              (options.build.replace ? ", or leave --base out: with --replace it is kept, and publish finds it" : ""));
    }
    const bool is_tree = !is_artifact_folder(base);
    if (is_tree && !out.empty() && lies_inside(real_path(out).empty() ? parent_folder(out) : out, base)) {
      return fail(Code::invalid_argument,
                  out + " lies inside the base " + base + ", which it would change: choose another");
    }
  }
  return {};
}

Result<std::vector<DeltaOutcome>> add_deltas(ArtifactFolder& folder, const Options& options, SourceTree source,
                                             const std::string& scratch) {
  std::vector<DeltaOutcome> outcomes;
  if (options.bases.empty()) return outcomes;
  const Work& work = options.delta.options.work;
  INSTAR_TRY(const auto fresh, to_readable(std::move(source), options.build.tree));
  for (const auto& path : options.bases) {
    INSTAR_TRY(const auto base, open_tree(path, scratch, work, options.build.keep_times, options.base_image()));
    INSTAR_TRY(auto outcome, add_delta(folder, fresh, base, options.delta));
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

Json document_of(const ArtifactFolder& folder, const std::vector<DeltaOutcome>& outcomes, bool measured_only) {
  auto json = artifact_json(folder);
  json["folder"] = measured_only ? Json() : Json(folder.path);
  if (!folder.kept_aside.empty()) json["kept_aside"] = folder.kept_aside;
  json["manifest_bytes"] = minimal_manifest_bytes(folder);
  if (outcomes.empty()) return json;
  for (auto& pack : json["packs"]) {
    // If there are several bases, `bases` has the figures of each.
    const auto& outcome = outcomes.front();
    if (pack["kind"] == "delta") pack["from_base_bytes"] = pack["wire_bytes"];
    if (outcomes.size() > 1) continue;
    if (pack["kind"] == "full") pack["from_base_bytes"] = outcome.weight.full_bytes;
    if (pack["kind"] == "dedupe") pack["from_base_bytes"] = outcome.weight.dedupe_bytes.value_or(0);
  }
  json["bases"] = outcomes_json(outcomes);
  json["dropped"] = dropped_json(outcomes);
  return json;
}

Outcome<Exit> run(Options options, const Console& console) {
  INSTAR_TRY(options.build.kinds, parse_kinds(options));
  INSTAR_CHECK(check_bases(options));
  const bool measure_only = options.build.out.empty();
  if (measure_only && options.bases.empty()) {
    return fail(Exit::usage, Code::invalid_argument,
                "where shall the artifact go? Give -o OUT; only with --base it can be left out, to measure");
  }
  if (!measure_only && !options.unchecked) INSTAR_CHECK(check_shape(options.build.tree, console));
  std::optional<ScratchFolder> measured;
  if (measure_only) {
    INSTAR_TRY(measured, ScratchFolder::make(""));
    options.build.out = measured->path() + "/artifact";
  }
  TerminalWork terminal(console);
  options.build.work = options.delta.options.work = terminal.work();
  options.delta.options.level = options.build.level;
  options.build.keep_times = options.times == "keep";
  files::TreeNotes notes;
  options.build.notes = &notes;
  std::optional<SourceTree> source;
  auto folder = build_artifact(options.build, &source);
  auto outcomes = folder ? add_deltas(*folder, options, *std::move(source),
                                      measured ? measured->path() : parent_folder(options.build.out))
                         : Result<std::vector<DeltaOutcome>>();
  terminal.end();
  if (!folder) return fail(failure_of(std::move(folder.error())));
  if (!outcomes) return fail(failure_of(std::move(outcomes.error())));
  std::vector<std::string> doubts;
  if (!measure_only && !options.unchecked) {
    INSTAR_TRY(doubts, check_default_init(*folder));
  }
  auto& text = console.text();
  text << artifact_text(*folder) << (outcomes->empty() ? "" : "\n") << outcomes_text(*outcomes)
       << "\nmanifest: at least " << minimal_manifest_bytes(*folder) << " bytes\n"
       << tree_notes_text(notes) << (folder->origin ? remarks_text(*folder->origin) : "");
  if (!folder->kept_aside.empty())
    text << "the artifact that was there is " << folder->kept_aside
         << " now: publish finds it as a base. Remove it when no device runs it\n";
  for (const auto& doubt : doubts) text << "as a container it would not start: " << doubt << "\n";
  if (!measure_only) text << "Next: instar publish --artifact " << options.build.out << " …\n";
  auto json = document_of(*folder, *outcomes, measure_only);
  json["doubts"] = doubts;
  json["notes"] = tree_notes_json(notes);
  console.document(json);
  return Exit::ok;
}

}  // namespace

void add(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("pack",
                                     "Make an artifact of a directory tree, an image or an archive\n\n"
                                     "Reads TREE (a container's root file system: files, folders, links, owners, "
                                     "modes, ACLs, file capabilities, xattrs user.*; or a file with a squashfs, "
                                     "erofs "
                                     "or ext4 file system, which devices mount as it is; or a tar or cpio archive, "
                                     "also compressed; or a container image of docker save, podman save or in the OCI "
                                     "layout, docs/images-in.md) and writes to "
                                     "OUT its index and one pack file for each kind. The same tree gives the same "
                                     "bytes, on any machine. With --base it makes a delta "
                                     "against each OLD too, and says what a device that has OLD would fetch by each "
                                     "pack; a delta that does not pay is dropped.");
  command->add_option("TREE", options->build.tree, "Directory tree, image file, archive or container image to pack")
      ->required();
  command
      ->add_option("-o,--out", options->build.out,
                   "Folder for the artifact; new, empty, or of the same artifact. With --base: none, to measure only")
      ->type_name("OUT");
  command->add_flag("--replace", options->build.replace,
                    "OUT may hold an artifact of other content: it is kept beside the new one, as OUT-ID, for deltas");
  command
      ->add_option("--base", options->bases,
                   "Directory tree, image file, archive, container image or artifact folder of before; repeat for "
                   "several deltas")
      ->allow_extra_args(false)
      ->type_name("OLD");
  command
      ->add_option("--kinds", options->kinds, "Which packs to make, by commas: full, dedupe; delta comes with --base")
      ->delimiter(',')
      ->capture_default_str()
      ->type_name("KIND");
  command->add_option("--level", options->build.level, "zstd level")
      ->capture_default_str()
      ->check(CLI::Range(1, 22))
      ->type_name("N");
  command->add_option("--jobs", options->delta.options.jobs, "Threads that compare files for a delta [one a processor]")
      ->check(CLI::Range(1, 256))
      ->type_name("N");
  command->add_flag("--keep-costly", options->delta.keep_costly, "Keep a delta too that saves nothing");
  command
      ->add_option("--times", options->times,
                   "Times of files on devices: release (when the release that brought the content was issued), or keep "
                   "(those of TREE, in whole seconds; the same tree with other times is another artifact)")
      ->check(CLI::IsMember({"release", "keep"}))
      ->capture_default_str()
      ->type_name("WHICH");
  command->add_flag("--allow-devices", options->build.devices_allowed,
                    "Take device nodes and fifos too; devices refuse them unless their own configuration allows it");
  add_image_choice(*command, options->build.image, "--image");
  command
      ->add_option(
          "--architecture", options->build.image.architectures,
          "Of a container image for several platforms: for which machine (uname -m), or PLATFORM as images say it")
      ->delimiter(',')
      ->type_name("ARCH");
  command->add_flag("--unchecked", options->unchecked, "Do not ask whether TREE looks like a root file system");
  add_json(*command, context);
  command->footer(
      "Examples:\n"
      "  instar pack build/rootfs -o out/web-2.4.1\n"
      "  instar pack build/rootfs -o out/web-2.4.1 --base out/web-2.4.0\n"
      "  instar pack rootfs.erofs -o out/web-2.4.1\n"
      "  docker save web:2.4.1 > web.tar && instar pack web.tar -o out/web-2.4.1\n"
      "  instar pack build/rootfs -o out/web --replace        the same place each time, as a build job has it\n"
      "  instar pack --base old/ new/ --json                  measure a pair");
  command->callback(
      [options, &context] { context.run = [options, &context] { return run(*options, context.console); }; });
}

}  // namespace instar::publisher::pack_command
