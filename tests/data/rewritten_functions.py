"""Functions in three languages, with traps for rewrites, and programs that show their behaviour."""

C_PRELUDE = r"""
#include <stdio.h>
#include <string.h>
struct node { int next; int count; int data[8]; };
int count = 7;
int limit = 3;
#define TWICE(x) ((x) + (x))
#define FIELD(p, member) ((p)->member)
#define EACH(i, n) for (int i = 0; i < (n); i++)
#define ADD_COUNT total += count
#define SKIP_ODD(x) if ((x) % 2) continue
"""

C_FUNCTIONS = {
    "continues": """int continues(int n)
{
    int total = 0;
    int i;
    for (i = 0; i < n; i++) {
        if (i % 3 == 0)
            continue;
        total += i;
    }
    while (n > 0) {
        n--;
        if (n % 2) continue;
        total += n;
    }
    return total;
}
""",
    "nested": """int nested(int n) {
    int sum = 0, k = 0;
    for (int i = 0; i < n; i++)
        for (int j = i; j > 0; j -= 2) {
            while (k < j) { k += 3; if (k > 40) break; continue; }
            sum += i * j - k;
        }
    for (;;) { if (sum > 5) break; sum++; }
    for (k = 0; k < 3; k++);
    return sum + k;
}
""",
    "fields": """int fields(struct node *node, int next)
{
    int data = FIELD(node, next);
    int member = node->count + count;
    struct node other = { .next = next, .count = 2 };
    other.data[1] = data;
    {
        int count = node->data[0];
        member += count * TWICE(next);
    }
    return other.data[1] + member + next + other.count;
}
""",
    "switched": """int switched(int n)
{
    int out = 0;
    for (int i = 0; i < n; i++) {
        switch (i % 4) {
        case 0:
            out += 1;
            /* on to the next */
        case 1:
            out += 10;
            break;
        case 2:
            continue;
        default:
            out -= 1;
        }
        out *= 2;
    }
    return out;
}
""",
    "shadowed": """int shadowed(int a, int b)
{
    int x = 1;
    int y = 2;
    int z = x + y;
    for (int i = 0; i < a; i++) {
        int x = i;
        int b = x * 2;
        z += x + b;
    }
    for (x = 0; x < 3; x += b) {
        int b = 5;
        z += b;
        if (z > 1000) break;
    }
    y = a;
    z = z + 1;
    return x + y + z + b;
}
""",
    "directives": """int directives(int n)
{
    int i, r = 0;
#ifdef NOT_DEFINED_ANYWHERE
    for (i = 0; i < n; i++) r--;
#else
    for (i = 0; i < n; i++) {
        r += i; // one
    }
#endif /* either */
#define LOCAL_STEP(v) ((v) + \\
                       n)
    while (r < 20) r = LOCAL_STEP(r) + 1;
    return r;
}
""",
    "texts": """int texts(const char *s)
{
    const char *a = "/* not a comment */ // neither";
    char c = '"'; /* a "quote */ int n = 0; /* and
    two lines */ n += 1;
    int q = 4/**/ + 2;
    while (*s) { if (*s == c || *s == '/') n++; s++; } // the end
    return n + q + (int) strlen(a);
}
""",
    "macros": """int macros(int n)
{
    int total = 0;
    EACH(i, n) {
        total += i;
    }
    EACH(j, 3)
        total += j;
    for (int k = 0; k < n; k++) {
        SKIP_ODD(k);
        total += 100;
    }
    for (int m = 0; m < 2; m++) {
        ADD_COUNT;
    }
    return total;
}
""",
    "jumps": """int jumps(int n)
{
    int again = 0;
    int total = 0;
again:
    total += n;
    if (again++ < 3)
        goto again;
    if (n > 2)
        for (int i = 0; i < n; i++)
            if (i == 1) total++; else total += 2;
    else
        total = -total;
    do { total += 3; if (total % 2) continue; total++; } while (total < 50);
    return total;
}
""",
    "state": """int state(int n)
{
    static int calls = 0;
    volatile int seen = 0;
    int low = n & 3;
    int high = n | 3;
    int pair[2] = { 1, 2 };
    calls += n;
    seen = calls;
    low = high;
    high = n * 2;
    n++;
    low--;
    return calls * 100 + seen + low + high + n + pair[0] * pair[1];
}
""",
    "device": """int device(int n)
{
    int r = 0, i = 0;
    switch (n % 4) {
    case 0: for (i = 0; i < n; i++) { r += 1;
    case 3: r += 2;
    case 2: r += 3; }
    }
    r += ({ int t = r; t += 1; t * 2; });
    return r - -i;
}
""",
    "old_style": "int old_style(int a,int b){int i,r=a-b;for(i=0;i<a;i++){r+=i*b;}while(r>100)r/=2;return r;}\n",
}

C_MAIN = r"""
int main(void)
{
    struct node node = { 5, 6, { 1, 2, 3 } };
    for (int n = 0; n < 12; n++) {
        printf("%d %d %d %d ", continues(n), nested(n), fields(&node, n), switched(n));
        printf("%d %d %d %d ", shadowed(n, 2), directives(n), macros(n), jumps(n));
        printf("%d %d %d\n", state(n), device(n), old_style(n, 3));
    }
    printf("%d %d\n", texts("a/b\"c//"), texts(""));
    return 0;
}
"""

JAVA_FIELDS = """    static int total = 5;
    static int n = 2;
    static Integer none = null;
    static int tick() { return ++total; }
"""

JAVA_METHODS = {
    "loops": """    static int loops(int a) {
        int sum = 0;
        outer:
        for (int i = 0; i < a; i++) {
            for (int j = 0, k = 1; j < i; j++, k++) {
                if (j == 3) continue outer;
                if (j == 5) continue;
                sum += j * k;
            }
            sum++;
        }
        for (int i = 0; i < a; i++) {
            if (i == 4) break;
            sum += i;
        }
        while (sum > 100) sum /= 2;
        for (;;) { if (sum++ > 10) break; }
        return sum;
    }
""",
    "reachable": """    static int reachable(int a) {
        for (int i = 0; i < a; i++) {
            if (i > 2) { a--; } else { a++; }
            return i + a;
        }
        for (int i = 0; i < a; i++) {
            if (i > 2) { return 1; } else { return 2; }
        }
        for (int i = 0; ; i++) {
            a += i;
            if (a > 5) {
                return a;
            }
        }
    }
""",
    "fieldsAndLocals": """    static int fieldsAndLocals(int a) {
        int before = n + total;
        int n = a;
        total = n;
        int other = n + Subject.n;
        Object o = new Object() {
            int a = 3;
            public String toString() { return "" + (a + other); }
        };
        java.util.function.IntUnaryOperator f = v -> v + other;
        java.util.function.IntBinaryOperator g = (x, y) -> { int z = x; z -= y; return z; };
        return before + other + o.toString().length() + f.applyAsInt(a) + g.applyAsInt(a, 2) + tick();
    }
""",
    "failing": """    static int failing(int a) {
        int x = 1;
        int y = 2;
        Integer boxed = none;
        String text = "a";
        try {
            x = 5;
            y = boxed;
            x = 7;
        } catch (NullPointerException | IllegalStateException e) {
            x += 10;
        }
        int r = a;
        int q = 3;
        text += tick();
        r = q;
        q = total;
        return x * 100 + y + r + q + text.length();
    }
""",
    "each": """    static int each(int... values) {
        int sum = 0; // of all
        /* "quoted" // and more */
        for (int value : values) {
            if (value < 0) continue;
            sum += value;
        }
        String s = "/* not */ // this";
        char c = '"';
        switch (sum % 3) {
            case 0: sum += s.length(); break;
            case 1: { int k = c; sum += k; }
            default: sum -= -1;
        }
        return sum;
    }
""",
}

JAVA_CALLS = """        for (int a = 0; a < 9; a++) {
            out.append(loops(a)).append(' ').append(reachable(a)).append(' ').append(fieldsAndLocals(a)).append(' ');
            out.append(failing(a)).append(' ').append(each(a, -1, 3)).append(';');
        }
"""

PYTHON_FUNCTIONS = {
    "primes": (
        '''def primes(n, *more, **named):
    """Up to n."""
    found = []
    step = 2  # the first
    for i in range(len(more)):
        found.append(more[i])
    while step <= n:
        for p in range(2, step):
            if step % p == 0:
                break
        else:
            found += [step]
        step += 1
    return found, named.get("step", f"{step!r:>4}")
''',
        [(10,), (0, "a", "b"), (30, 1)],
    ),
    "words": (
        """def words(text, sep=None):
    counts = {}
    longest, shortest = "", text
    for i, word in enumerate(text.split(sep)):
        # count it
        if word in counts:
            counts[word] += 1
            continue
        counts[word] = i + 1
        if len(word) > len(longest):
            longest = word
    total = [counts[k] for k in sorted(counts)
             if k]
    low = 1
    high = 2
    return counts, longest, total, low - -high, f"{text=}"
""",
        [("a bb a ccc",), ("",), ("x,y,x", ",")],
    ),
    "closures": (
        """def closures(a, b):
    def add(c):
        return a + c
    values = (lambda a: a * b)(2)
    seen = [a for a in (1, 2) if a != b]
    try:
        x = a
        y = b
        z = x / y
    except ZeroDivisionError as error:
        z = str(error)
    i = 0
    while i < 3:
        i += 1
        if i == 2: continue
        values += i
    return add(b), values, seen, z
""",
        [(1, 2), (3, 0)],
    ),
    "text": (
        '''def text(a):
    s = """two
  lines # not a comment"""; t = '#'
    m = {  # a comment
        "k": a,
          "l": [1,
    2],
    }
    if a: return s + t
    return s \\
        + str(m)
''',
        [(0,), (1,)],
    ),
    "recursive": (
        "def recursive(n):\n\tif n<2:\n\t\treturn 1\n\ttotal = 0\n\tfor i in range(n):\n\t\ttotal += recursive(n=i)\n"
        "\treturn total\n",
        [(1,), (5,)],
    ),
}
"""Name -> source, and argument lists."""
