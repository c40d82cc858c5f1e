import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { SequenceFilter } from "../src/cli/terminal/sequence-filter.ts";

const ESC = "\u001b";
const ST = `${ESC}\\`;

function shown(input: string | Uint8Array, answers = false): string {
  const filter = new SequenceFilter({ answers });
  return Buffer.from(filter.push(Buffer.from(input))).toString();
}

describe("what a machine may do to the terminal", () => {
  const passes: readonly [string, string][] = [
    ["text and line ends", "hello\r\n\tworld\b"],
    ["text beyond ASCII", "häagen ✓ 日本 🎉"],
    ["colours", `${ESC}[1;38;5;196m${ESC}[48:2::1:2:3mx${ESC}[0m`],
    ["cursor movement and erasing", `${ESC}[2J${ESC}[H${ESC}[10;5H${ESC}[K${ESC}[3A${ESC}7${ESC}8`],
    ["the other screen, mouse, and bracketed paste", `${ESC}[?1049h${ESC}[?1000;1006h${ESC}[?2004h`],
    ["scroll regions and inserted lines", `${ESC}[2;20r${ESC}[3L${ESC}[2M${ESC}M${ESC}D`],
    ["line drawing", `${ESC}(0lqk${ESC}(B`],
    ["cursor style and a soft reset", `${ESC}[4 q${ESC}[!p`],
    ["the keyboard protocol", `${ESC}[>1u${ESC}[<1u${ESC}[>4;2m`],
    ["a link to a web page", `${ESC}]8;id=a1;https://example.org/x?y=1${ST}text${ESC}]8;;${ST}`],
  ];
  for (const [what, text] of passes) {
    it(`${what} passes unchanged`, () => assert.equal(shown(text), text));
  }

  const dropped: readonly [string, string][] = [
    ["writing the clipboard", `${ESC}]52;c;cm0gLXJmIC8=\u0007`],
    ["reading the clipboard", `${ESC}]52;c;?${ST}`],
    ["writing the clipboard with kitty's command", `${ESC}]5522;type=write${ST}`],
    ["setting the title", `${ESC}]0;rm -rf /\n\u0007`],
    ["setting the icon and window title", `${ESC}]1;x${ST}${ESC}]2;x${ST}`],
    ["setting the title as screen does", `${ESC}kevil${ST}`],
    ["telling a false folder", `${ESC}]7;file://host/etc${ST}`],
    ["notifications", `${ESC}]9;hi${ST}${ESC}]777;notify;a;b${ST}${ESC}]99;;x${ST}`],
    ["changing or asking colours", `${ESC}]4;1;rgb:0/0/0${ST}${ESC}]11;?${ST}${ESC}]104${ST}`],
    ["shell integration marks", `${ESC}]133;A${ST}${ESC}]633;E;evil${ST}`],
    ["iTerm2 files and reports", `${ESC}]1337;File=name=eA==:AAAA\u0007${ESC}]1337;ReportVariable=x${ST}`],
    ["a link to a file", `${ESC}]8;;file:///etc/passwd${ST}`],
    ["a link to a script", `${ESC}]8;;javascript:alert(1)${ST}`],
    ["device control strings", `${ESC}P$qm${ST}${ESC}P+q544e${ST}${ESC}Pq#0;1~${ST}`],
    ["a command wrapped for tmux", `${ESC}Ptmux;${ESC}${ESC}]52;c;eA==\u0007${ST}`],
    ["kitty pictures and files", `${ESC}_Gf=24;AAAA${ST}${ESC}_x${ST}`],
    ["privacy messages and other strings", `${ESC}^x${ST}${ESC}Xx${ST}`],
    ["the answerback", "\u0005"],
    ["asking for the title", `${ESC}[21t${ESC}[20t`],
    ["asking what the screen shows", `${ESC}[1;1;1;1;10;80*y`],
    ["asking for the cursor, unless answers are read", `${ESC}[6n${ESC}[?6n`],
    ["asking who the terminal is", `${ESC}[c${ESC}[>c${ESC}[=c${ESC}[>q${ESC}Z${ESC}[x`],
    ["resizing and moving the window", `${ESC}[8;1;1t${ESC}[3;0;0t${ESC}[?3h`],
    ["printing", `${ESC}[5i${ESC}[?5i${ESC}[i`],
    ["leaving UTF-8", `${ESC}%@`],
    ["eight-bit answers", `${ESC} G`],
    ["another terminal's language", `${ESC}[?2l`],
    ["highlight tracking", `${ESC}[?1001h${ESC}[1;2;3;4;5T`],
    ["locator reports", `${ESC}[1'z${ESC}['|`],
    ["absurd counts", `${ESC}[99999999b`],
    ["sequences that never were", `${ESC}[1;2~z`.slice(0, -1)],
  ];
  for (const [what, text] of dropped) {
    it(`${what} is dropped`, () => assert.equal(shown(`a${text}b`), "ab"));
  }

  it("eight-bit controls are judged as their seven-bit forms, encoded or not", () => {
    assert.equal(shown("a\u009b31mb\u009d52;c;eA==\u0007c\u0090q\u009cx"), `a${ESC}[31mbc`);
    assert.equal(shown(Buffer.from([0x61, 0x9d, 0x35, 0x32, 0x07, 0x62])), "a\ufffd52\u0007b");
  });

  it("bytes that are not UTF-8 become replacement characters", () => {
    assert.equal(
      shown(Buffer.from([0xc0, 0xaf, 0xed, 0xa0, 0x80, 0xff, 0x41])),
      "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdA",
    );
  });

  it("control characters inside a sequence act at once", () => {
    assert.equal(shown(`${ESC}[3\n1mx`), `\n${ESC}[31mx`);
    assert.equal(shown(`${ESC}[3\u00181mx`), "1mx");
  });

  it("of several modes only the harmless ones pass", () => {
    assert.equal(shown(`${ESC}[?1049;3;25h`), `${ESC}[?1049;25h`);
  });

  it("a link loses everything that could ride along", () => {
    assert.equal(
      shown(`${ESC}]8;evil=1:id=ab:x=y;https://example.org/${ST}t`),
      `${ESC}]8;id=ab;https://example.org/${ST}t`,
    );
  });

  it("a string that never ends is given up in the end, without being kept", () => {
    const filter = new SequenceFilter();
    filter.push(Buffer.from(`${ESC}P`));
    let out = "";
    for (let count = 0; count < 40; count += 1)
      out += Buffer.from(filter.push(Buffer.alloc(65_536, 0x41))).toString();
    assert.ok(out.length > 1_000_000 && out.length < 40 * 65_536);
  });

  it("questions pass where answers are read, and the simplest are answered here", () => {
    const answers: string[] = [];
    const filter = new SequenceFilter({ answers: true, answer: (text) => answers.push(text) });
    const out = Buffer.from(filter.push(Buffer.from(`${ESC}[6n${ESC}[c${ESC}[5n${ESC}[?2026$p`))).toString();
    assert.equal(out, `${ESC}[6n${ESC}[?2026$p`);
    assert.deepEqual(answers, [`${ESC}[?62;22c`, `${ESC}[0n`]);
    assert.equal(filter.asked, 2);
  });
});

describe("any output", () => {
  const nasty = fc.oneof(
    fc
      .constantFrom(
        "\u001b",
        "[",
        "]",
        "P",
        "_",
        "^",
        "X",
        "k",
        "\\",
        "\u0007",
        "52;c;",
        "0;",
        "8;;",
        "8;;https://a.b/",
        "?",
        ">",
        "=",
        "<",
        "1049",
        "2004",
        ";",
        ":",
        "h",
        "l",
        "m",
        "c",
        "n",
        "t",
        "q",
        "u",
        "$p",
        "*y",
        "\u0018",
        "\u0005",
        "\u009b",
        "\u009d",
        "\u0090",
        "6",
        "4",
        " ",
        "!",
        "ä",
        "🎉",
        "\n",
        "text",
      )
      .map((text) => Buffer.from(text)),
    fc.uint8Array({ minLength: 1, maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
  );
  const output = fc.array(nasty, { maxLength: 80 }).map((parts) => Buffer.concat(parts));

  it("gives the same however it is cut", () => {
    fc.assert(
      fc.property(output, fc.array(fc.nat(200), { maxLength: 20 }), fc.boolean(), (bytes, cuts, answers) => {
        const whole = Buffer.from(new SequenceFilter({ answers }).push(bytes));
        const filter = new SequenceFilter({ answers });
        const places = [
          0,
          ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b),
          bytes.length,
        ];
        const parts = places
          .slice(1)
          .map((end, index) => Buffer.from(filter.push(bytes.subarray(places[index], end))));
        assert.deepEqual(Buffer.concat(parts), whole);
      }),
      { numRuns: 2000 },
    );
  });

  it("is a fixed point: what passed passes again", () => {
    fc.assert(
      fc.property(output, (bytes) => {
        const once = Buffer.from(new SequenceFilter().push(bytes));
        assert.deepEqual(Buffer.from(new SequenceFilter().push(once)), once);
      }),
      { numRuns: 2000 },
    );
  });

  it("holds no introducer but those that were judged", () => {
    const allowed =
      /\u001b(?:\[[<=>?]?[0-9;:]*[ !]?[@-~]|\]8;(?:id=[A-Za-z0-9._-]{1,64})?;(?:https?:\/\/[!-~]+)?\u001b\\|[()*+][0-9A-K]|#8|[78=>cDEHMNO])/g;
    fc.assert(
      fc.property(output, (bytes) => {
        const out = Buffer.from(new SequenceFilter().push(bytes)).toString();
        const rest = out.replace(allowed, "");
        assert.doesNotMatch(rest, /[\u0000-\u0006\u0010-\u001f\u007f-\u009f]/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("what a program leaves behind", () => {
  function undo(text: string): string {
    const filter = new SequenceFilter();
    filter.push(Buffer.from(text));
    return filter.screen.undo();
  }

  it("nothing is undone where nothing was changed", () => assert.equal(undo("plain text\r\n"), ""));
  it("the other screen is left, the cursor shown, mouse and paste brackets ended", () => {
    const text = undo(`${ESC}[?1049h${ESC}[?25l${ESC}[?1002;1006h${ESC}[?2004h`);
    for (const part of ["[?1049l", "[?25h", "[?1002l", "[?1006l", "[?2004l"])
      assert.ok(text.includes(ESC + part), part);
  });
  it("what the program undid itself is left alone", () => {
    assert.doesNotMatch(undo(`${ESC}[?1049h${ESC}[?1049l`), /1049/);
  });
  it("margins, keypad, keyboard levels, cursor style and open links are put back", () => {
    const text = undo(`${ESC}[2;5r${ESC}=${ESC}[>1u${ESC}[>3u${ESC}[4 q${ESC}]8;;https://a.b/${ST}`);
    for (const part of ["[r", ">", "[<2u", "[0 q", "]8;;"]) assert.ok(text.includes(ESC + part), part);
  });
});
