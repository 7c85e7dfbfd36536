// Makes the page, one HTML file, from src/; or, with --test, runs the unit tests. Run in a folder that has node_modules.
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { spawnSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const COMPRESSED_BYTES_MAX = 250_000;
const shared = { bundle: true, format: "esm", jsx: "automatic", jsxImportSource: "preact", logLevel: "warning" };

const digest = (text) => `'sha256-${createHash("sha256").update(text, "utf8").digest("base64")}'`;

async function script() {
  const made = await build({ ...shared, entryPoints: ["src/main.tsx"], minify: true, write: false, target: ["es2022"], legalComments: "none",
                             define: { "process.env.NODE_ENV": '"production"' } });
  // Inside a page nothing may look like the end of its script.
  return made.outputFiles[0].text.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
}

async function style() {
  const css = readFileSync("node_modules/uplot/dist/uPlot.min.css", "utf8") + readFileSync("src/style.css", "utf8");
  const made = await build({ stdin: { contents: css, loader: "css" }, minify: true, write: false, logLevel: "warning" });
  return made.outputFiles[0].text;
}

// The terms of everything that the page may contain: the packages of the lock file that are not for building it alone.
function licences() {
  const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
  const texts = new Map();
  const names = [];
  for (const [folder, entry] of Object.entries(lock.packages)) {
    if (folder === "" || entry.dev) continue;
    names.push(`${folder.replace(/^.*node_modules\//, "")} ${entry.version} (${entry.license ?? "see below"})`);
    const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
    if (file === undefined) continue;
    const text = readFileSync(join(folder, file), "utf8").trim();
    texts.set(text, [...(texts.get(text) ?? []), names.at(-1)]);
  }
  const body = [...texts].map(([text, of]) => `${of.join(", ")}:\n\n${text}`).join("\n\n----\n\n");
  const head = `Instar's dashboard, under the Apache License, Version 2.0. It contains, or was made with:\n${names.sort().join("\n")}`;
  return `<!--\n${head}\n\n${body}\n`.replaceAll("--", "- -").replace("<!- -", "<!--") + "-->\n";
}

const policyOf = (js, css) => [
  "default-src 'none'", `script-src ${digest(js)}`, `style-src ${digest(css)}`, "connect-src ws: wss:", "img-src data:", "base-uri 'none'",
  "form-action 'none'", "require-trusted-types-for 'script'",
].join("; ");

const ICON = encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#1f6feb"/><path d="M8 8V0h4a4 4 0 0 1 4 4v4z" fill="#3fbf7f"/></svg>');

async function page(out) {
  const [js, css] = [await script(), await style()];
  const parts = { POLICY: policyOf(js, css), ICON, STYLE: css, SCRIPT: js };
  const html = readFileSync("src/index.html", "utf8").replace(/%(POLICY|ICON|STYLE|SCRIPT)%/g, (_, name) => parts[name]) + licences();
  const compressed = gzipSync(html, { level: 9 }).length;
  if (compressed > COMPRESSED_BYTES_MAX) throw new Error(`the page has ${compressed} bytes compressed, ${COMPRESSED_BYTES_MAX} are allowed`);
  writeFileSync(out, html);
  console.log(`dashboard: ${out}, ${html.length} bytes, ${compressed} compressed`);
}

async function tests() {
  const out = mkdtempSync(join(tmpdir(), "instar-dashboard-"));
  try {
    await build({ ...shared, entryPoints: readdirSync("test").filter((name) => name.endsWith(".test.ts")).map((name) => join("test", name)),
                  outdir: out, outExtension: { ".js": ".mjs" }, platform: "node" });
    const files = readdirSync(out).map((name) => join(out, name));
    process.exitCode = spawnSync(process.execPath, ["--test", ...files], { stdio: "inherit" }).status ?? 1;
  } finally {
    rmSync(out, { recursive: true });
  }
}

const at = process.argv.indexOf("--out");
if (!existsSync("node_modules")) throw new Error("node_modules is not here: run npm ci first");
if (process.argv.includes("--test")) await tests();
else await page(resolve(at > 0 ? process.argv[at + 1] : "instar-dashboard.html"));
